"""When a workload is ready."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.health.workloads import has_failed, selector, state


def deployment(generation: int = 1, wanted: int | None = 1, **status: int) -> dict[str, Any]:
    spec = {} if wanted is None else {"replicas": wanted}
    return {"kind": "Deployment", "metadata": {"generation": generation}, "spec": spec, "status": status}


def stateful(**status: Any) -> dict[str, Any]:
    return {"kind": "StatefulSet", "metadata": {"generation": 1}, "spec": {"replicas": 1}, "status": status}


def job(*conditions: str, **status: int) -> dict[str, Any]:
    told = [{"type": each, "status": "True", "message": "too often"} for each in conditions]
    return {"kind": "Job", "metadata": {}, "spec": {}, "status": {"conditions": told, **status}}


SEEN = {"observedGeneration": 1}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (deployment(), "not seen by its controller yet"),
        (deployment(2, **SEEN, replicas=1, updatedReplicas=1, readyReplicas=1), "not seen by its controller yet"),
        (deployment(**SEEN), "0/1 started"),
        (deployment(**SEEN, replicas=1, updatedReplicas=1), "0/1 ready"),
        (deployment(**SEEN, replicas=2, updatedReplicas=1, readyReplicas=2), "1 old pods to end"),
        (deployment(**SEEN, replicas=1, updatedReplicas=1, readyReplicas=1), ""),
        (deployment(wanted=None, **SEEN, replicas=1, updatedReplicas=1, readyReplicas=1), ""),
        (deployment(wanted=0, **SEEN), ""),
        (stateful(**SEEN, replicas=1, readyReplicas=1, currentRevision="a", updateRevision="a"), ""),
        (stateful(**SEEN, replicas=1, readyReplicas=1, currentRevision="a", updateRevision="b"), "0/1 started"),
        (
            stateful(**SEEN, replicas=1, updatedReplicas=1, readyReplicas=0, currentRevision="a", updateRevision="b"),
            "0/1 ready",
        ),
        (job(), "0/1 complete"),
        (job("Complete"), ""),
        (job("Failed"), "failed: too often"),
        ({"kind": "ConfigMap"}, ""),
    ],
)
def test_state(item: dict[str, Any], expected: str) -> None:
    assert state(item) == expected


def test_a_job_has_failed_only_when_it_says_so() -> None:
    assert has_failed(job("Failed"))
    assert not has_failed(job("Complete"))
    assert not has_failed(job())


def test_selector() -> None:
    assert selector({"kind": "Job", "metadata": {"name": "x"}}) == "batch.kubernetes.io/job-name=x"
    item = {"kind": "Deployment", "spec": {"selector": {"matchLabels": {"a": "1", "b": "2"}}}}
    assert selector(item) == "a=1,b=2"
