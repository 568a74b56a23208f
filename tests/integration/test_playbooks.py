"""A deploy converges: it changes nothing that is right, says beforehand what it will change, and survives a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import Any

import pytest

from tests.support import ROOT, Played, command, environment, kubectl, objects, play

pytestmark = pytest.mark.cluster

DEMO = {
    "mlflow_provider": "local",
    "mlflow_project_name": "demo",
    "mlflow_namespace": "dev",
    "mlflow_kubeconfig": os.environ["KUBECONFIG"],
}
CHANGED: dict[str, Any] = {"mlflow_overrides": {"tracking": {"podAnnotations": {"tests/marker": "changed"}}}}
DECLARED = "deploy,sts,svc,secret,cm,pvc,networkpolicy,sa,job,lease"
KEPT = "pvc,secret"


def deployed(**variables: Any) -> Played:
    played = play("mlflow", **{**DEMO, **variables})
    assert played.returncode == 0, played.failure
    return played


def uids(kinds: str) -> dict[str, str]:
    items = json.loads(kubectl("-n", "dev", "get", kinds, "-o", "json"))["items"]
    return {
        f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["uid"]
        for item in items
        if not item["metadata"]["name"].startswith("sh.helm.release")
    }


def told(played: Played) -> set[tuple[str, str, str]]:
    return {(change["action"], change["kind"], change["name"]) for change in played.mlflow["changes"]}


def test_a_second_run_changes_nothing_and_touches_nothing() -> None:
    before = objects("dev", DECLARED)
    played = deployed()
    assert played.changed == 0
    assert played.mlflow["changes"] == []
    assert played.mlflow["verified"] is True
    assert objects("dev", DECLARED) == before


def test_what_a_check_says_would_change_is_what_then_changes() -> None:
    before = objects("dev", DECLARED)
    check = play("mlflow", "--check", "--diff", **DEMO, **CHANGED)
    assert check.returncode == 0, check.failure
    assert objects("dev", DECLARED) == before
    assert ("update", "Deployment", "demo-mlflow-tracking") in told(check)
    assert told(deployed(**CHANGED)) == told(check)
    assert deployed(**CHANGED).changed == 0


@pytest.mark.parametrize("seconds", [3.0, 6.0])
def test_a_killed_run_is_finished_by_running_it_again(seconds: float) -> None:
    deployed_before = uids(KEPT)
    marker = f"killed after {seconds}"
    service = {"service": {"annotations": {"tests/marker": marker}}}  # which starts no new pod
    values = {"mlflow_overrides": {"tracking": {**CHANGED["mlflow_overrides"]["tracking"], **service}}}
    victim = subprocess.Popen(
        command("mlflow", **DEMO, **values),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(seconds)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    played = deployed(**values)
    assert played.mlflow["verified"] is True
    assert uids(KEPT) == deployed_before
    assert marker in kubectl("-n", "dev", "get", "service", "demo-mlflow-tracking", "-o", "jsonpath={.metadata}")
    assert deployed(**values).changed == 0


def test_the_deploy_without_overrides_takes_them_back() -> None:
    assert ("update", "Deployment", "demo-mlflow-tracking") in told(deployed())
    assert deployed().changed == 0
