"""A volume that is not mounted is told in the kubelet's words, and only one that never will be ends a wait early."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.health import mounts

SECRET = 'MountVolume.SetUp failed for volume "ca" : secret "ca" not found'
CONFIG_MAP = 'MountVolume.SetUp failed for volume "own" : configmap "own" not found'
KEY = 'MountVolume.SetUp failed for volume "own" : references non-existent config key: a.pem'
NFS = 'MountVolume.SetUp failed for volume "data" : mount failed: exit status 32\nOutput: Connection refused'
TAKEN = 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) other'
LATER = "Unable to attach or mount volumes: unmounted volumes=[ca], timed out waiting for the condition"


def event(message: str, reason: str = "FailedMount", uid: str = "a") -> dict[str, Any]:
    return {"reason": reason, "message": message, "involvedObject": {"uid": uid}}


def pod(phase: str, mounted: str = "") -> dict[str, Any]:
    conditions = [{"type": "PodReadyToStartContainers", "status": mounted}] if mounted else []
    return {"metadata": {"name": "server", "uid": "a"}, "status": {"phase": phase, "conditions": conditions}}


@pytest.mark.parametrize(
    ("events", "words", "ends"),
    [
        ([event(SECRET)], 'secret "ca" not found', True),
        ([event(CONFIG_MAP)], 'configmap "own" not found', True),
        ([event(KEY)], "non-existent config key: a.pem", True),
        ([event(SECRET), event(LATER)], 'secret "ca" not found', True),
        ([event(NFS)], "mount failed: exit status 32", False),
        ([event(TAKEN, "FailedAttachVolume")], "already used by pod(s) other", False),
        ([event(LATER)], "timed out waiting", False),
        ([event(SECRET), event(NFS)], "mount failed", False),
    ],
)
def test_what_the_kubelet_says_is_told(events: list[dict[str, Any]], words: str, ends: bool) -> None:
    found = mounts.of_pod(pod("Pending", "False"), events)
    assert found is not None
    assert found.cause.startswith("Pod/server waits for a volume: ")
    assert words in found.cause
    assert "\n" not in found.cause
    assert (found.grace is not None) is ends


def test_without_the_condition_nothing_ends_early() -> None:
    """Before Kubernetes 1.29: the Secret may have come since, and a large image be pulled."""
    found = mounts.of_pod(pod("Pending"), [event(SECRET)])
    assert found is not None
    assert found.grace is None


@pytest.mark.parametrize(
    ("phase", "mounted", "events"),
    [
        ("Pending", "False", []),
        ("Pending", "False", [event(SECRET, uid="another")]),
        ("Pending", "False", [event("Readiness probe failed", "Unhealthy")]),
        ("Pending", "True", [event(SECRET)]),  # it came later, and the image is pulled
        ("Running", "True", [event(SECRET)]),
    ],
)
def test_a_pod_without_such_trouble_has_none(phase: str, mounted: str, events: list[dict[str, Any]]) -> None:
    assert mounts.of_pod(pod(phase, mounted), events) is None
