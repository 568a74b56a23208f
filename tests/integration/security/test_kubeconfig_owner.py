"""A kubeconfig that another user of the machine left is never used: its login program would run as the deployer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from nebari_mlflow import names
from nebari_mlflow.errors import UntrustedError
from nebari_mlflow.play import deployment
from nebari_mlflow.plugin import teardown
from tests.support import give_away, play

CLI = str(Path(sys.executable).with_name("nebari-mlflow"))
COMMANDS = ("status", "plan", "doctor", "open", "deploy", "logs", "verify", "destroy")


def kubeconfig(path: Path, mark: Path) -> Path:
    """Write one whose login program leaves a mark."""
    script = f"touch {mark}; exit 1"
    login = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script]}
    document = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"exec": {**login, "interactiveMode": "Never"}}}],
    }
    path.write_text(yaml.safe_dump(document))
    path.chmod(0o644)
    return path


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "mark"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A temporary folder in which every user can place files."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def run(command: str, tmp_path: Path, shared: Path, *options: str, **env: str) -> tuple[int, dict[str, Any]]:
    config = tmp_path / "nebari-config.yaml"
    config.write_text("project_name: demo\nnamespace: dev\nprovider: local\ndomain: nebari.example.org\nmlflow: {}\n")
    inherited = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    more = {"TMPDIR": str(shared), "XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path), **env}
    options += ("--no-browser",) if command == "open" else ("--yes",) if command == "destroy" else ()
    line = [CLI, command, "--config", str(config), "--json", *options]
    done = subprocess.run(line, env={**inherited, **more}, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


def refused(command: str, code: int, found: dict[str, Any]) -> bool:
    if command == "doctor":
        (check,) = [check for check in found["checks"] if check["name"] == "kubeconfig"]
        return code == 1 and check["result"] == "failed" and bool(check["cause"])
    return code == 1 and found["error"]["code"] == "NML307"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("how", ["file", "link", "writable"])
def test_what_another_user_left_for_nebari_is_refused(
    command: str, how: str, tmp_path: Path, shared: Path, mark: Path
) -> None:
    place = shared / "NEBARI_KUBECONFIG"
    if how == "link":
        place.symlink_to(kubeconfig(tmp_path / "own", mark))
        give_away(place)
    elif how == "file":
        give_away(kubeconfig(place, mark))
    else:
        kubeconfig(place, mark).chmod(0o666)
    code, found = run(command, tmp_path, shared)
    assert refused(command, code, found), found
    assert str(place) in json.dumps(found)
    assert not mark.exists()


@pytest.mark.parametrize("command", ["status", "plan"])
@pytest.mark.parametrize("way", ["--kubeconfig", "KUBECONFIG", "one of several", "the home folder", "a link"])
def test_another_user_s_file_is_refused_however_it_is_named(
    command: str, way: str, tmp_path: Path, shared: Path, mark: Path
) -> None:
    path = tmp_path / ".kube/config" if way == "the home folder" else tmp_path / "theirs"
    path.parent.mkdir(exist_ok=True)
    give_away(kubeconfig(path, mark))
    own = tmp_path / "own"
    own.write_text("contexts: []\n")
    (tmp_path / "link").symlink_to(path)
    options: tuple[str, ...] = ("--kubeconfig", str(path)) if way == "--kubeconfig" else ()
    options = ("--kubeconfig", str(tmp_path / "link")) if way == "a link" else options
    named = {"KUBECONFIG": str(path), "one of several": f"{own}{os.pathsep}{path}"}
    env = {"KUBECONFIG": named[way]} if way in named else {}
    code, found = run(command, tmp_path, shared, *options, **env)
    assert refused(command, code, found), found
    assert not mark.exists()


def test_your_own_file_is_used_through_your_own_links(tmp_path: Path, shared: Path, mark: Path) -> None:
    own = kubeconfig(tmp_path / "own", mark)
    (tmp_path / "link").symlink_to(own)
    code, found = run("status", tmp_path, shared, "--kubeconfig", str(tmp_path / "link"))
    assert (code, found["state"]) == (1, "Blocked")
    assert "login program failed" in found["cause"]
    assert mark.exists()


def test_the_stage_of_nebari_refuses_it_too(tmp_path: Path, mark: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = kubeconfig(tmp_path / "theirs", mark)
    give_away(theirs)

    def run_playbook(playbook: str, _outputs: dict[str, Any]) -> Any:
        base = {"mlflow_provider": "local", "mlflow_project_name": "demo", "mlflow_namespace": "dev"}
        return deployment.execute(playbook, {**base, "mlflow_kubeconfig": str(theirs)})

    for playbook in (names.DEPLOY, names.DESTROY):
        with pytest.raises(UntrustedError, match="NML307"):
            run_playbook(playbook, {})
    assert not teardown.remove(SimpleNamespace(project_name="demo"), {}, run_playbook), (
        "it says that the release may be there"
    )
    assert "may still be in the cluster" in " ".join(capsys.readouterr().out.split())
    assert not mark.exists()


def test_the_playbook_by_itself_refuses_it_too(tmp_path: Path, mark: Path) -> None:
    theirs = kubeconfig(tmp_path / "theirs", mark)
    give_away(theirs)
    given = {"provider": "local", "project_name": "demo", "namespace": "dev", "mlflow_kubeconfig": str(theirs)}
    for playbook in ("mlflow", "destroy"):
        played = play(playbook, **given)
        assert played.returncode != 0
        assert f"The file {theirs} belongs to the user nobody" in played.failure
    assert not mark.exists()


def test_the_current_folder_runs_no_code(tmp_path: Path, mark: Path) -> None:
    """A folder that everybody may write to holds a module of a name that Python imports."""
    (tmp_path / "ctypes.py").write_text(f"open({str(mark)!r}, 'w')\n")
    (tmp_path / "nebari_mlflow/play").mkdir(parents=True)
    (tmp_path / "nebari_mlflow/play/with_parent.py").write_text(f"open({str(mark)!r}, 'w')\n")
    (tmp_path / "kubectl").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "kubectl").chmod(0o755)
    own = tmp_path / "config"
    own.write_text("contexts: []\n")
    (tmp_path / "vars.yml").write_text("{provider: local, project_name: demo, namespace: dev}")
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    line = [CLI, "open", "--vars", "vars.yml", "--kubeconfig", "config", "--no-browser", "--json"]
    done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["error"]["code"] == "NML604"
    assert not mark.exists()
