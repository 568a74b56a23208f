"""What a Job's end says: its pod's own words, otherwise Kubernetes'."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import JobFailed, NeverReady, ReleaseError, TimedOut
from ansible_collections.nebari.mlflow.plugins.module_utils.health import job, problems
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.progress import Progress

FAILED = {"type": "Failed", "status": "True", "message": "Job has reached the specified backoff limit"}
COMPLETE = {"type": "Complete", "status": "True"}


def pod(name: str, message: str = "", phase: str = "Succeeded") -> dict[str, Any]:
    ended = {"terminated": {"exitCode": 0, "message": message}}
    return {
        "metadata": {"name": name, "namespace": "dev", "creationTimestamp": name},
        "status": {"phase": phase, "containerStatuses": [{"name": "backup", "state": ended}]},
    }


class Cluster:
    """What the API answers."""

    def __init__(self, condition: dict[str, str] | None, pods: list[dict[str, Any]], log: str = "") -> None:
        self.condition, self.pods, self.log = condition, pods, log
        self.events: list[dict[str, Any]] = []

    def request(self, _method: str, path: str, **_: Any) -> dict[str, Any]:
        if path.endswith("/pods"):
            return {"items": self.pods}
        if path.endswith("/events"):
            return {"items": self.events}
        metadata = {"name": "one", "namespace": "dev", "uid": "of the job"}
        return {
            "metadata": metadata,
            "spec": {},
            "status": {"conditions": [self.condition] if self.condition else []},
        }

    def text(self, _path: str, _query: dict[str, Any]) -> str:
        return self.log


def follow(cluster: Any) -> dict[str, Any]:
    return job.follow(cluster, "dev", "one", "backup", Progress(None, "one"), timeout=0)


@pytest.mark.parametrize(
    ("pods", "log", "result"),
    [
        ([pod("1", '{"id": "x"}')], "", {"id": "x"}),
        ([pod("1", '{"id": "x"}')], json.dumps({"id": "x", "long": 1}), {"id": "x", "long": 1}),  # the log has it whole
        ([pod("1", '{"id": "old"}'), pod("2", '{"id": "new"}')], "", {"id": "new"}),
        ([pod("1", "no JSON")], "neither", {}),
        ([pod("1", "[1]")], "[1]", {}),
        ([], "", {}),
    ],
)
def test_the_result_of_a_job(pods: list[dict[str, Any]], log: str, result: dict[str, Any]) -> None:
    assert follow(Cluster(COMPLETE, pods, log)) == result


def test_a_pod_that_has_succeeded_is_enough() -> None:
    """A controller that is busy or gone notes the end on the Job much later."""
    assert follow(Cluster(None, [pod("1", '{"id": "x"}')])) == {"id": "x"}


def test_the_code_of_an_upgrade_is_its_own() -> None:
    told = json.dumps({"cause": "It failed.", "code": "NML432"})
    with pytest.raises(JobFailed) as caught:
        follow(Cluster(FAILED, [pod("1", told, "Failed")]))
    assert caught.value.code == "NML432"


@pytest.mark.parametrize(
    ("pods", "log", "cause", "fix"),
    [
        ([pod("1", '{"cause": "The store is full.", "fix": "Make room."}')], "", "The store is full.", "Make room."),
        ([pod("1")], "Killed", "backoff limit. Its last lines:\nKilled", "run the same command again"),
        ([], "", "backoff limit", "run the same command again"),
    ],
)
def test_the_cause_of_a_failed_job(pods: list[dict[str, Any]], log: str, cause: str, fix: str) -> None:
    with pytest.raises(JobFailed) as caught:
        follow(Cluster(FAILED, pods, log))
    assert cause in caught.value.cause
    assert fix in caught.value.fix
    assert caught.value.code == "NML431"


def test_a_job_that_takes_too_long_goes_on() -> None:
    with pytest.raises(TimedOut, match="It goes on"):
        follow(Cluster(None, [pod("1", phase="Running")]))


def test_a_pod_that_cannot_start_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "PAUSE", 0)
    monkeypatch.setattr(problems.Patience, "is_lasting", lambda *_: True)
    waiting = {"waiting": {"reason": "ErrImageNeverPull", "message": "not present"}}
    stuck = pod("1", phase="Pending")
    stuck["status"]["containerStatuses"][0] |= {"state": waiting, "image": "postgres:none"}
    with pytest.raises(ReleaseError) as caught:
        job.follow(Cluster(None, [stuck]), "dev", "one", "backup", Progress(None, "one"), timeout=60)  # type: ignore[arg-type]
    assert isinstance(caught.value, NeverReady)
    assert "postgres:none" in caught.value.cause


def warning(reason: str, uid: str, message: str) -> dict[str, Any]:
    return {"reason": reason, "involvedObject": {"uid": uid}, "message": message}


MISSING = 'MountVolume.SetUp failed for volume "keys" : secret "kept-mlflow-keys" not found'


@pytest.mark.parametrize(
    ("pods", "events", "words"),
    [
        (["1"], [warning("FailedMount", "of pod 1", MISSING)], 'secret "kept-mlflow-keys" not found'),
        (
            [],
            [warning("FailedCreate", "of the job", "pods is forbidden: exceeded quota: small")],
            "exceeded quota: small",
        ),
        (["1"], [warning("FailedMount", "of another pod", MISSING)], ""),
        ([], [warning("FailedCreate", "of another job", "exceeded quota")], ""),
    ],
    ids=["a Secret that is missing", "a quota", "another pod's trouble", "another Job's trouble"],
)
def test_what_keeps_a_pod_from_starting_is_told(
    monkeypatch: pytest.MonkeyPatch, pods: list[str], events: list[dict[str, Any]], words: str
) -> None:
    monkeypatch.setattr(problems.Patience, "is_lasting", lambda *_: True)
    waiting = [pod(name, phase="Pending") for name in pods]
    for each in waiting:
        each["metadata"]["uid"] = f"of pod {each['metadata']['name']}"
        each["status"] |= {
            "containerStatuses": [],
            "conditions": [{"type": "PodReadyToStartContainers", "status": "False"}],
        }
    cluster = Cluster(None, waiting)
    cluster.events = events
    with pytest.raises(ReleaseError) as caught:
        follow(cluster)
    assert isinstance(caught.value, NeverReady if words else TimedOut)
    assert words in caught.value.cause
