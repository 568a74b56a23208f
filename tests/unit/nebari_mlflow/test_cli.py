"""The command line without a cluster: what it prints for programs, what it returns, what it says of mistakes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from nebari_mlflow import names
from nebari_mlflow.cli import context, doctor
from nebari_mlflow.cli.app import app
from nebari_mlflow.cli.options import SHAPE
from nebari_mlflow.errors import InputError
from nebari_mlflow.play import workspace
from tests.documents import document
from tests.support import takes_ctrl_c


def invoke(*arguments: str) -> Result:
    return CliRunner(mix_stderr=False).invoke(app, list(arguments))


def shape(result: Result, kind: str) -> dict[str, Any]:
    found = document(result.stdout, kind)
    assert found["version"] == SHAPE
    return found


def test_a_cluster_that_is_not_there_is_a_status(variables: str, gone: str) -> None:
    result = invoke("status", "--vars", variables, "--kubeconfig", gone, "--json")
    found = shape(result, "status")
    assert result.exit_code == 1
    assert found["state"] == "Blocked"
    assert "refuses connections" in found["cause"]
    assert found["fix"]
    assert set(found) == {
        "type", "version", "state", "cause", "fix", "release", "versions", "tracking_uri", "ui_url", "access",
        "replicas", "storage", "database", "backup", "drill", "last_backup", "route",
    }  # fmt: skip


@pytest.mark.parametrize("command", ["plan", "deploy", "adopt", "status", "verify", "logs", "open", "destroy"])
def test_a_mistake_is_json_where_json_is_asked_for(command: str, tmp_path: Path) -> None:
    path = tmp_path / "nebari-config.yaml"
    path.write_text("project_name: demo\nmlflow: {replica: 1}\n")
    result = invoke(command, "--config", str(path), "--json")
    assert result.exit_code == 1
    error = shape(result, command)["error"]
    assert error["code"] == "NML102"
    assert Path(error["page"]).read_text().startswith("# NML102: ")


def test_mistyped_option_does_not_exit_like_a_changed_plan() -> None:
    result = invoke("plan", "--kubecfg", "x")
    assert result.exit_code == 1
    assert "No such option: --kubecfg" in result.stderr
    result = invoke("plan", "--kubecfg", "x", "--json")
    assert result.exit_code == 1
    assert "--kubecfg" in shape(result, "plan")["error"]["cause"]
    result = invoke("paln", "--json")
    assert (result.exit_code, shape(result, "error")["error"]["code"]) == (1, "NML104")


def test_watching_looks_again_until_ctrl_c(variables: str, gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("nebari_mlflow.cli.app.time.sleep", pause)
    result = invoke("status", "--vars", variables, "--kubeconfig", gone, "--json", "--watch")
    assert (result.exit_code, pauses) == (0, [5, 5, 5])
    assert [document(line, "status")["state"] for line in result.stdout.splitlines()] == ["Blocked"] * 3


def test_ctrl_c_while_it_looks_ends_it_in_order(variables: str, gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nebari_mlflow.cli.status.look", interrupted)
    assert invoke("status", "--vars", variables, "--kubeconfig", gone, "--watch").exit_code == 0
    monkeypatch.setattr("nebari_mlflow.cli.cluster.connect", interrupted)
    result = invoke("logs", "--vars", variables, "--kubeconfig", gone, "--json")
    assert (result.exit_code, shape(result, "logs")["error"]["code"]) == (130, "NML501")


def test_plan_of_a_missing_cluster_names_the_task(
    variables: str, gone: str, path_with_helm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_with_helm)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    result = invoke("plan", "--vars", variables, "--kubeconfig", gone, "--json")
    error = shape(result, "plan")["error"]
    assert (result.exit_code, error["code"], error["task"]) == (
        1,
        "NML403",
        "server : Plan the deploy",
    )
    assert "CANARY" not in result.stdout + result.stderr + Path(error["log"]).read_text()


def test_the_doctor_goes_as_far_as_it_can(variables: str, gone: str) -> None:
    Path(gone).chmod(0o644)
    checks = shape(invoke("doctor", "--vars", variables, "--kubeconfig", gone, "--json"), "doctor")["checks"]
    found = {check["name"]: check for check in checks}
    assert found["kubeconfig"]["result"] == "warning"
    assert found["kubeconfig"]["fix"] == f"chmod 600 {gone}"
    assert found["cluster"]["result"] == "failed"
    assert "release" not in found


def test_the_doctor_names_a_command_for_what_it_finds(
    variables: str, gone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(gone).chmod(0o644)
    monkeypatch.setattr("nebari_mlflow.play.workspace.ROOM", 2**60)
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = ("doctor", "--vars", variables, "--kubeconfig", gone, "--json")
    found = {check["name"]: check for check in shape(invoke(*arguments), "doctor")["checks"]}
    assert found["ansible"]["fix"] == "/nonexistent/python -m pip install 'ansible>=12.3'"
    assert found["helm"]["fix"] == doctor.GET_HELM
    assert found["temporary files"]["fix"] == "export XDG_RUNTIME_DIR=$(mktemp -d -p ~)"
    assert not [check for check in found.values() if check["result"] != "ok" and not check["fix"]]
    helm = tmp_path / "helm"
    for version, result in (("v4.0.1", "failed"), ("v3.14.4", "failed"), ("v3.15.0", "ok"), ("2.17", "failed")):
        helm.write_text(f"#!/bin/sh\necho {version}\n")
        helm.chmod(0o755)
        checks = shape(invoke(*arguments), "doctor")["checks"]
        assert (checks[1]["name"], checks[1]["result"]) == ("helm", result), version


@pytest.mark.parametrize(("places", "warned"), [("10", False), ("4", True), ("", False)])
def test_the_doctor_says_that_connections_are_few(places: str, warned: bool) -> None:
    """An external database that grants 100 connections to three replicas of a rolling update."""
    container = {"env": [{"name": doctor.PLACES, "value": places}]}
    found = list(doctor._connections({"spec": {"template": {"spec": {"containers": [container]}}}}))
    assert bool(found) is warned
    assert not warned or ("4 requests" in found[0].cause and "maxConnections" in found[0].fix)
    assert not list(doctor._connections(None))


def test_the_doctor_knows_the_cluster_s_troubles(variables: str, gone: str) -> None:
    about = context.find(None, Path(variables), gone)
    classes = [{"metadata": {"name": "fast"}}, {"metadata": {"name": "slow"}}]
    found = doctor._storage_class(classes, about)
    mark = "storageclass.kubernetes.io/is-default-class=true"
    assert found.fix == f"kubectl --kubeconfig {gone} annotate storageclass fast {mark} --overwrite"
    assert "Classes: fast, slow." in found.cause
    ending = {"metadata": {"name": "dev"}, "status": {"phase": "Terminating"}}
    found = doctor._namespace(ending, about)
    assert found.fix == f"kubectl --kubeconfig {gone} wait --for=delete namespace/dev --timeout=10m"


def test_a_command_that_is_told_is_about_the_same_release(variables: str, gone: str) -> None:
    about = context.find(None, Path(variables), gone)
    assert about.command("verify") == f"nebari-mlflow verify --vars {variables} --kubeconfig {gone}"


def test_the_doctor_works_without_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("doctor", "--json")
    assert result.exit_code == 1
    assert shape(result, "doctor")["checks"][-1]["name"] == "configuration"


def test_data_is_only_deleted_by_its_own_name(variables: str, gone: str) -> None:
    result = invoke("destroy", "--vars", variables, "--kubeconfig", gone, "--delete-data", "other", "--yes", "--json")
    assert shape(result, "destroy")["error"]["code"] == "NML105"


def test_an_adoption_asks_first_and_deletes_only_what_is_named(variables: str, gone: str) -> None:
    result = invoke("adopt", "--vars", variables, "--kubeconfig", gone, "--json")
    assert (result.exit_code, shape(result, "adopt")["error"]["code"]) == (1, "NML503")
    result = invoke("adopt", "--vars", variables, "--kubeconfig", gone, "--remove-old", "other", "--yes", "--json")
    assert shape(result, "adopt")["error"]["code"] == "NML105"


def test_destroy_asks_first(variables: str, gone: str) -> None:
    result = CliRunner(mix_stderr=False).invoke(
        app, ["destroy", "--vars", variables, "--kubeconfig", gone], input="n\n"
    )
    assert result.exit_code == 1
    assert "Remove my-demo-mlflow from namespace dev and keep its data?" in result.stderr
    assert "NML503" in result.stderr
    result = invoke("destroy", "--vars", variables, "--kubeconfig", gone, "--json")
    assert (result.exit_code, shape(result, "destroy")["error"]["code"]) == (1, "NML503"), "nobody is there to answer"


def test_short_names_are_those_of_the_playbook(variables: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    found = context.find(None, Path(variables), "")
    assert found.variables == {
        f"mlflow_{name}": value for name, value in yaml.safe_load(Path(variables).read_text()).items()
    }
    assert found.release == names.release("My_Demo")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("project_name", "../../x"),
        ("project_name", "demo\n"),
        ("namespace", "dev/../kube-system"),
        ("namespace", "dev?x=1"),
        ("namespace", "{{ space }}"),
    ],
)
@pytest.mark.parametrize("command", ["status", "plan", "logs", "destroy"])
def test_a_name_is_checked_before_it_is_used(
    command: str, name: str, value: str, variables: str, gone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    Path(variables).write_text(
        yaml.safe_dump({"provider": "local", "project_name": "demo", "namespace": "dev", name: value})
    )
    result = invoke(command, "--vars", variables, "--kubeconfig", gone, "--json")
    error = shape(result, command)["error"]
    assert error["code"] == "NML103"
    assert f"{name} is {value!r}" in error["cause"]
    assert error["fix"].startswith("Allowed: ")
    assert not (tmp_path / "state").exists()


def test_a_name_in_nebari_s_configuration_is_checked_too(tmp_path: Path) -> None:
    path = tmp_path / "nebari-config.yaml"
    path.write_text("project_name: ../../x\nnamespace: a/b\nmlflow: {enabled: false}\n")
    assert shape(invoke("status", "--config", str(path), "--json"), "status")["error"]["code"] == "NML102"


def test_two_sources_are_one_too_many(variables: str) -> None:
    with pytest.raises(InputError, match="NML104"):
        context.find(Path("nebari-config.yaml"), Path(variables), "")


KUBECTL = """#!{python}
import pathlib, sys, time
port = sys.argv[-1].partition(":")[0]
pathlib.Path({trace!r}).write_text(str(__import__("os").getpid()))
print(f"Forwarding from 127.0.0.1:{{port}} -> 5000", flush=True)
if "kept" in sys.argv[2]:
    time.sleep(60)
print("Handling connection for 5000\\n" * 20_000)
sys.exit("error: lost connection to pod")
"""


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that says what kubectl says, and the file with its process id."""
    trace = tmp_path / "pid"
    program = tmp_path / "bin/kubectl"
    program.parent.mkdir()
    program.write_text(KUBECTL.format(python=sys.executable, trace=str(trace)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return trace


@pytest.mark.usefixtures("kubectl")
def test_open_uses_the_next_free_port_until_disconnected(variables: str, gone: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = invoke("open", "--vars", variables, "--kubeconfig", gone, "--port", str(port), "--no-browser")
    said = result.stdout.split()[0]
    assert port < int(said.rpartition(":")[2]) < port + 100
    assert result.exit_code == 1
    assert "NML604 kubectl cannot reach the server: lost connection to pod." in result.stderr


@pytest.mark.usefixtures("kubectl")
@pytest.mark.parametrize("screen", ["", ":0"])
def test_open_starts_a_browser_only_where_there_is_a_screen(
    variables: str, gone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, screen: str
) -> None:
    for name in ("WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", screen)
    opened = tmp_path / "opened"
    program = tmp_path / "bin/xdg-open"
    program.write_text(f"#!/bin/sh\necho $1 >{opened}\n")
    program.chmod(0o755)
    result = invoke("open", "--vars", variables, "--kubeconfig", gone)
    assert result.exit_code == 1
    assert result.stdout.startswith("http://127.0.0.1:")
    until = time.monotonic() + (5 if screen else 0.2)  # the browser is not waited for
    while not opened.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert opened.exists() == bool(screen)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 0), ("SIGTERM", -15), ("SIGKILL", -9)])
def test_kubectl_ends_with_the_command(
    variables: str, gone: str, kubectl: Path, name: str, code: int, tmp_path: Path
) -> None:
    import signal

    kept = tmp_path / "kept"
    kept.write_bytes(Path(gone).read_bytes())
    command = [str(Path(sys.executable).with_name("nebari-mlflow")), "open", "--vars", variables]
    command += ["--kubeconfig", str(kept), "--no-browser", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=takes_ctrl_c)
    assert process.stdout is not None
    found = document("".join(process.stdout.readline() for _ in range(5)), "open")
    assert found["url"].startswith("http://127.0.0.1:")
    process.send_signal(signal.Signals[name])
    assert process.wait(10) == code
    deadline = time.monotonic() + 10
    while workspace.started(int(kubectl.read_text())) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_crash_shows_no_values() -> None:
    assert app.pretty_exceptions_show_locals is False


def test_completion_knows_the_commands() -> None:
    environ = {
        **os.environ,
        "_NEBARI_MLFLOW_COMPLETE": "complete_bash",
        "COMP_WORDS": "nebari-mlflow d",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(
        [Path(sys.executable).with_name("nebari-mlflow")], env=environ, capture_output=True, text=True, check=False
    )
    assert set(done.stdout.split()) == {"deploy", "destroy", "doctor"}


def test_the_command_is_installed_and_helps() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("nebari-mlflow"), "--help"], capture_output=True, text=True, check=True
    )
    for command in ("plan", "adopt", "status", "doctor", "verify", "logs", "open", "destroy", "--install-completion"):
        assert command in done.stdout
