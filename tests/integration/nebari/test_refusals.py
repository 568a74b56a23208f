"""What cannot work is said in a sentence that helps, and a teardown goes on whatever happens."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest
import yaml

from .support import Project

pytestmark = pytest.mark.cluster


@pytest.fixture
def idle(tmp_path: Path) -> Project:
    """A project that is never deployed, so that it needs no namespace."""
    made = Project(tmp_path, "door_idle", "door-idle")
    made.configure({})
    return made


@pytest.fixture
def gone(tmp_path: Path) -> str:
    """The kubeconfig of a cluster that is not there any more."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    for entry in config["clusters"]:
        entry["cluster"]["server"] = f"https://127.0.0.1:{port}"
    path = tmp_path / "gone"
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return str(path)


def test_a_missing_output_of_another_stage_is_named(idle: Project) -> None:
    code, output = idle.quick("deploy", UPSTREAM_OMIT="04-kubernetes-ingress:domain")
    assert code == 1
    assert "NML201 stages/04-kubernetes-ingress gave no domain" in " ".join(output.split())
    assert "Traceback" not in output


def test_a_cluster_that_does_not_answer_is_said(idle: Project, gone: str) -> None:
    code, output = idle.quick("deploy", UPSTREAM_KUBECONFIG=gone)
    assert code == 1
    assert "NML403" in output
    assert "Fix:" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("how", ["cluster gone", "outputs missing", "kubeconfig missing"])
def test_destroy_never_stands_in_the_way(idle: Project, gone: str, tmp_path: Path, how: str) -> None:
    trace = tmp_path / "trace"
    env = {
        "cluster gone": {"UPSTREAM_KUBECONFIG": gone},
        "outputs missing": {"UPSTREAM_OMIT": "02-infrastructure:kubeconfig_filename,04-kubernetes-ingress:domain"},
        "kubeconfig missing": {"UPSTREAM_KUBECONFIG": "/nonexistent"},
    }[how]
    code, output = idle.quick("destroy", "--disable-prompt", UPSTREAM_TRACE=str(trace), **env)
    assert code == 0, output
    assert len(trace.read_text().splitlines()) == 4, "the stages below were destroyed"
    assert "door-idle-mlflow" in output
    assert "Traceback" not in output


def test_without_helm_the_fix_is_said(idle: Project, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "python3", "env", "cat", "sleep"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    code, output = idle.quick("deploy", PATH=str(tools))
    assert code == 1
    assert "NML410" in output
    assert "helm" in output
