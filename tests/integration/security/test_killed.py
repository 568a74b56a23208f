"""A deploy that is ended by `kill -9` leaves no credentials behind, though it had no time to remove them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from nebari_mlflow.play import workspace

CLI = str(Path(sys.executable).with_name("nebari-mlflow"))
HELM = """#!{python}
import pathlib, sys, time
pathlib.Path({trace!r}).touch()
time.sleep(60)
"""


@pytest.fixture
def canaries(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    made = {name: f"CANARY{os.urandom(8).hex()}" for name in ("AWS_SECRET_ACCESS_KEY", "ARM_CLIENT_SECRET", "token")}
    for name in ("AWS_SECRET_ACCESS_KEY", "ARM_CLIENT_SECRET"):
        monkeypatch.setenv(name, made[name])
    monkeypatch.setenv("NEBARI_MLFLOW_PASS_CLOUD_CREDENTIALS", "1")
    return made


def folders() -> list[Path]:
    return [folder for root in workspace.candidates() for folder in root.glob(f"{workspace.PREFIX}*")]


def files() -> Iterator[Path]:
    for folder in folders():
        for where, _, names in os.walk(folder):  # which does not mind what goes meanwhile
            yield from (Path(where, name) for name in names)


def holding(marks: list[str]) -> list[str]:
    """Return the files of any run that hold one of the marks."""
    found = []
    for path in files():
        try:
            text = path.read_bytes()
        except OSError:  # gone meanwhile
            continue
        found += [path.name for mark in marks if mark.encode() in text]
    return found


def until(reached: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_killed_deploy_leaves_no_credentials(
    canaries: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace, helm = tmp_path / "trace", tmp_path / "bin/helm"
    helm.parent.mkdir()
    helm.write_text(HELM.format(python=sys.executable, trace=str(trace)))
    helm.chmod(0o755)
    document = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": canaries["token"]}}],
    }
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(document))
    kubeconfig.chmod(0o600)
    (tmp_path / "vars.yml").write_text("{provider: local, project_name: door-killed, namespace: door-killed}")
    monkeypatch.setenv("PATH", f"{helm.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    line = [CLI, "deploy", "--vars", str(tmp_path / "vars.yml"), "--kubeconfig", str(kubeconfig)]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(trace.exists)
    cloud = [canaries["AWS_SECRET_ACCESS_KEY"], canaries["ARM_CLIENT_SECRET"]]
    assert holding([canaries["token"]]), "the kubeconfig's copy is there while the deploy runs"
    assert holding(cloud) == [], "the environment is in no file, even while it runs"
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: holding([*cloud, canaries["token"]]) == [], seconds=10)
    until(
        lambda: not [folder for folder in folders() if f"{workspace.PREFIX}{process.pid}-" in str(folder)], seconds=40
    )
