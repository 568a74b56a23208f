"""A release that the chart's README installs and one that the playbooks deploy are the same release."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import kubectl, play
from tests.unit.chart.rendering import CHART

pytestmark = pytest.mark.cluster
NAMESPACE, RELEASE = "takeover", "takeover-mlflow"
INPUTS: dict[str, Any] = {
    "mlflow_provider": "local",
    "mlflow_project_name": "takeover",
    "mlflow_namespace": NAMESPACE,
    "mlflow_kubeconfig": os.environ.get("KUBECONFIG", ""),
}


def printed(title: str) -> str:
    """Return the commands below a title of the chart's README, for names of our own."""
    section = (CHART / "README.md").read_text().partition(f"\n## {title}\n")[2]
    match = re.search(r"```bash\n(.*?)```", section, re.S)
    assert match
    names = f"namespace={NAMESPACE} release={RELEASE}\n"
    return names + match[1].replace("namespace=mlflow release=demo-mlflow\n", "")


def shell(commands: str) -> None:
    line = ["bash", "-euo", "pipefail", "-c", commands]
    done = subprocess.run(line, cwd=CHART, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def _installed() -> Iterator[None]:
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    shell(printed("Install"))
    yield
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.usefixtures("_installed")
def test_playbook_and_helm_take_over_each_others_release() -> None:
    before = kubectl("-n", NAMESPACE, "get", "pvc,secret", "-o", "name")
    taken = play("mlflow", **INPUTS)
    assert taken.returncode == 0, taken.failure
    assert taken.mlflow["verified"] is True
    assert not {change["kind"] for change in taken.mlflow["changes"]} & {"PersistentVolumeClaim", "Secret"}
    assert play("mlflow", **INPUTS).changed == 0
    shell(printed("Upgrade"))
    kept = [name for name in before.split() if "sh.helm.release" not in name]
    assert set(kept) <= set(kubectl("-n", NAMESPACE, "get", "pvc,secret", "-o", "name").split())


@pytest.mark.usefixtures("_installed")
def test_kubernetes_core_finds_what_the_playbook_deployed() -> None:
    assert play("mlflow", **INPUTS).changed == 0
    found = play("../tests/integration/proof", proof_namespace=NAMESPACE, proof_release=RELEASE).mlflow
    assert found["status"] == "deployed"
    assert found["chart"].startswith("mlflow-")
    assert found["available"] == [1]
    assert all(found["keys"])
    assert len(found["keys"]) == 2


@pytest.mark.usefixtures("_installed")
def test_data_of_the_readmes_release_is_deleted_when_named() -> None:
    check = play("destroy", "--check", **INPUTS, mlflow_delete_data="takeover")
    assert check.returncode == 0, check.failure
    removed = play("destroy", **INPUTS, mlflow_delete_data="takeover")
    assert removed.returncode == 0, removed.failure
    assert removed.mlflow["changes"] == check.mlflow["changes"]
    assert removed.tasks_that_changed == check.tasks_that_changed
    assert play("destroy", **INPUTS, mlflow_delete_data="takeover").changed == 0
    assert removed.mlflow["kept"] == []
    left = kubectl("-n", NAMESPACE, "get", "pvc,secret", "-o", "name").split()
    assert [name for name in left if RELEASE in name] == []
