"""Taking MLflow away. The file comes last, since it takes from the other tests what they share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import kubectl

from .support import Project

pytestmark = pytest.mark.cluster


def test_destroy_reports_what_is_kept_and_does_not_block(deployed: Project, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    code, output = deployed.quick("destroy", "--disable-prompt", UPSTREAM_TRACE=str(trace))
    assert code == 0, output
    assert "Nebari properly destroyed all resources without error" in output
    assert "kept: PersistentVolumeClaim data-door-1-mlflow-postgresql-0" in output
    assert len(trace.read_text().splitlines()) == 4
    assert kubectl("-n", deployed.namespace, "get", "deploy,sts", "-o", "name") == ""


def test_status_of_a_removed_release_names_data_and_way_back(deployed: Project) -> None:
    done = deployed.mlflow("status", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["state"]) == (1, "Absent")
    assert "data-door-1-mlflow-postgresql-0, door-1-mlflow-artifacts" in found["cause"]
    assert found["fix"] == "nebari-mlflow deploy --config nebari-config.yaml"


@pytest.mark.parametrize("command", ["verify", "logs", "open"])
def test_a_command_without_release_names_the_deploy(deployed: Project, command: str) -> None:
    done = deployed.mlflow(command, "--json", *(["--no-browser"] if command == "open" else []))
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (1, "NML605")
    assert error["cause"] == f"door-1-mlflow is not deployed in namespace {deployed.namespace}."
    assert error["fix"] == "Run: nebari-mlflow deploy --config nebari-config.yaml"


def test_deleting_the_data_is_an_act_of_its_own(deployed: Project) -> None:
    assert kubectl("-n", deployed.namespace, "get", "pvc", "-o", "name").count("\n") == 2
    done = deployed.mlflow("destroy", "--delete-data", deployed.name, "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["outputs"]["kept"] == []
    assert kubectl("-n", deployed.namespace, "get", "pvc,secret", "-o", "name") == ""
