"""The command line without a cluster: what it prints for programs, what it returns, what it says of mistakes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from nebari_mlflow import names, target
from nebari_mlflow.cli import SHAPE, app
from nebari_mlflow.errors import InputError

VARIABLES = {"provider": "local", "project_name": "My_Demo", "namespace": "dev"}


@pytest.fixture
def gone(tmp_path: Path) -> str:
    """A kubeconfig of a cluster that refuses connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{probe.getsockname()[1]}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "CANARY-token"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def variables(tmp_path: Path) -> str:
    path = tmp_path / "vars.yml"
    path.write_text(yaml.safe_dump(VARIABLES))
    return str(path)


def invoke(*arguments: str) -> Result:
    return CliRunner(mix_stderr=False).invoke(app, list(arguments))


def shape(result: Result, kind: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(result.stdout)
    assert (document["type"], document["version"]) == (f"nebari-mlflow.{kind}", SHAPE)
    return document


def test_a_cluster_that_is_not_there_is_a_status(variables: str, gone: str) -> None:
    result = invoke("status", "--vars", variables, "--kubeconfig", gone, "--json")
    found = shape(result, "status")
    assert result.exit_code == 1
    assert found["state"] == "Blocked"
    assert "refuses connections" in found["cause"]
    assert found["fix"]
    assert set(found) == {
        "type", "version", "state", "cause", "fix", "release", "versions", "tracking_uri", "ui_url", "replicas",
        "storage", "database", "last_backup",
    }  # fmt: skip


@pytest.mark.parametrize("command", ["plan", "deploy", "status", "verify", "logs", "destroy"])
def test_a_mistake_is_json_where_json_is_asked_for(command: str, tmp_path: Path) -> None:
    path = tmp_path / "nebari-config.yaml"
    path.write_text("project_name: demo\nmlflow: {replica: 1}\n")
    result = invoke(command, "--config", str(path), "--json")
    assert result.exit_code == 1
    assert shape(result, command)["error"]["code"] == "NML102"


def test_a_plan_of_a_cluster_that_is_not_there_names_the_task(
    variables: str, gone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helm = tmp_path / "helm"
    helm.write_text("#!/bin/sh\necho v3.19.4\n")  # all that is asked of it before the cluster is
    helm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    result = invoke("plan", "--vars", variables, "--kubeconfig", gone, "--json")
    error = shape(result, "plan")["error"]
    assert (result.exit_code, error["code"], error["task"]) == (1, "NML403", "server : Converge the release")
    assert "CANARY" not in result.stdout + result.stderr + Path(error["log"]).read_text()


def test_the_doctor_goes_as_far_as_it_can(variables: str, gone: str) -> None:
    Path(gone).chmod(0o644)
    checks = shape(invoke("doctor", "--vars", variables, "--kubeconfig", gone, "--json"), "doctor")["checks"]
    found = {check["name"]: check for check in checks}
    assert found["kubeconfig"]["result"] == "warning"
    assert found["kubeconfig"]["fix"] == f"chmod 600 {gone}"
    assert found["cluster"]["result"] == "failed"
    assert "release" not in found


def test_the_doctor_works_without_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("doctor", "--json")
    assert result.exit_code == 1
    assert shape(result, "doctor")["checks"][-1]["name"] == "configuration"


def test_data_is_only_deleted_by_its_own_name(variables: str, gone: str) -> None:
    result = invoke("destroy", "--vars", variables, "--kubeconfig", gone, "--delete-data", "other", "--yes", "--json")
    assert shape(result, "destroy")["error"]["code"] == "NML105"


def test_destroy_asks_first(variables: str, gone: str) -> None:
    result = CliRunner(mix_stderr=False).invoke(
        app, ["destroy", "--vars", variables, "--kubeconfig", gone], input="n\n"
    )
    assert result.exit_code == 1
    assert "Remove my-demo-mlflow from namespace dev and keep its data?" in result.stderr


def test_short_names_are_those_of_the_playbook(variables: str) -> None:
    found = target.find(None, Path(variables), "")
    assert found.variables == {f"mlflow_{name}": value for name, value in VARIABLES.items()}
    assert found.release == names.release("My_Demo")


def test_two_sources_are_one_too_many(variables: str) -> None:
    with pytest.raises(InputError, match="NML104"):
        target.find(Path("nebari-config.yaml"), Path(variables), "")


def test_the_command_is_installed_and_helps() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("nebari-mlflow"), "--help"], capture_output=True, text=True, check=True
    )
    for command in ("plan", "deploy", "status", "doctor", "verify", "logs", "open", "destroy", "--install-completion"):
        assert command in done.stdout
