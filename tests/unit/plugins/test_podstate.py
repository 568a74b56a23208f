"""What is read from pods as a real kubelet described them; the file's name says what was wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.health.podstate import is_ready, of_pod

PODS = Path(__file__).parent / "pods"

# name: (kind, words of the cause or the brief, whether it lasts, whether a new pod would help)
EXPECTED: dict[str, tuple[str, list[str], bool, bool]] = {
    "pull": ("pull", ["'registry.invalid/x:1' for container main", "no such host"], True, True),
    "invalid-name": ("pull", ["'Bad//x:1'", "invalid reference format"], True, True),
    "config": ("config", ['secret "nope" not found'], True, False),
    "start": ("start", ['exec: "nosuch"'], True, True),
    "crash": ("crash", ["exit code 3, 4 restarts"], True, False),
    "oom": ("crash", ["OOMKilled"], True, True),
    "unschedulable": ("schedule", ["Insufficient cpu"], False, False),
    "init-runs": ("starting", ["init container wait runs"], False, False),
    "init-fails": ("crash", ["container wait ended with exit code 2"], True, False),
    "unready": ("starting", ["running, 0/1 ready"], False, False),
    "ready": ("starting", ["ready"], False, False),
}


def test_every_recorded_pod_is_expected() -> None:
    assert {path.stem for path in PODS.glob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_recorded_pod(name: str) -> None:
    pod = json.loads((PODS / f"{name}.json").read_text())
    kind, words, lasting, stuck = EXPECTED[name]
    problem = of_pod(pod)[0]
    assert problem.kind == kind
    for word in words:
        assert word in (problem.cause or problem.brief)
    assert (problem.grace is not None) is lasting
    assert problem.stuck is stuck
    assert bool(problem.fix) is bool(problem.cause)
    assert is_ready(pod) is (name == "ready")


def test_a_pod_that_ends_is_no_problem() -> None:
    pod = json.loads((PODS / "pull.json").read_text())
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert [problem.cause for problem in of_pod(pod)] == [""]


@pytest.mark.parametrize(
    ("message", "longest"),
    [
        ("rpc error: code = NotFound desc = failed to pull: docker.io/x:1: not found", 10),
        ("rpc error: code = Unknown desc = pull access denied, repository does not exist", 10),
        ("failed to do request: Head: net/http: TLS handshake timeout", 40),
        ("toomanyrequests: rate limit", 40),
    ],
)
def test_only_certain_pull_errors_end_the_wait_at_once(message: str, longest: float) -> None:
    pod = json.loads((PODS / "pull.json").read_text())
    pod["status"]["containerStatuses"][0]["state"]["waiting"] = {"reason": "ErrImagePull", "message": message}
    grace = of_pod(pod)[0].grace
    assert grace is not None
    assert longest - 10 < grace <= longest


def test_few_restarts_may_still_come_right() -> None:
    pod = json.loads((PODS / "crash.json").read_text())
    pod["status"]["containerStatuses"][0]["restartCount"] = 2
    assert of_pod(pod)[0].grace is None
