"""A pod that runs and is not ready shows its probe's last failure, and why its container was started again."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.health.podstate import of_pod
from ansible_collections.nebari.mlflow.plugins.module_utils.health.probes import told
from ansible_collections.nebari.mlflow.plugins.module_utils.health.problems import Problem

POD: dict[str, Any] = json.loads((Path(__file__).parent / "pods/unready.json").read_text())
POD["metadata"]["uid"] = "1"
CONTAINER = POD["status"]["containerStatuses"][0]
BEGAN = datetime.fromisoformat(CONTAINER["state"]["running"]["startedAt"].replace("Z", "+00:00"))
PROBE = "Readiness probe failed: HTTP probe failed with statuscode: 500"


def event(message: str, uid: str = "", reason: str = "Unhealthy") -> dict[str, Any]:
    return {"reason": reason, "message": message, "involvedObject": {"uid": uid or POD["metadata"]["uid"]}}


def read(seconds: float, *events: dict[str, Any], **changes: Any) -> Problem:
    """Return what is told of the pod, so many seconds after its container began."""
    pod = copy.deepcopy(POD)
    pod["status"]["containerStatuses"][0].update(changes)
    return told(of_pod(pod)[0], pod, list(events), BEGAN + timedelta(seconds=seconds))


def test_probes_last_failure_is_shown_within_a_minute() -> None:
    found = read(20, event("Startup probe failed: connection refused"), event(PROBE), event("other", uid="x"))
    assert PROBE in found.brief
    assert f"runs but is not ready: {PROBE}." in found.cause
    assert found.log_of == CONTAINER["name"]
    assert found.grace is None, "it may still come right"


def test_failing_probe_during_startup_is_not_reported() -> None:
    assert read(19, event(PROBE)).brief == "running, 0/1 ready"
    assert read(60).brief == "running, 0/1 ready"


@pytest.mark.parametrize(
    ("reason", "code", "words"),
    [
        ("OOMKilled", 137, "restarted 2 times, the last time after exit code 137 (OOMKilled)"),
        ("Error", 1, "restarted 2 times, the last time after exit code 1"),
        ("Completed", 0, "restarted 2 times, the last time after exit code 0"),
    ],
)
def test_the_reason_of_a_restart_is_shown(reason: str, code: int, words: str) -> None:
    last = {"terminated": {"reason": reason, "exitCode": code}}
    found = read(1, event("Liveness probe failed: timeout"), restartCount=2, lastState=last)
    assert f"{words}; Liveness probe failed: timeout" in found.brief


def test_old_restart_of_a_ready_container_is_not_reported() -> None:
    last = {"terminated": {"reason": "Error", "exitCode": 1}}
    assert "restarted" not in read(60, ready=True, restartCount=1, lastState=last).brief
