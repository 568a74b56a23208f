"""The words of controllers, and for how long a cause is given the benefit of the doubt."""

from __future__ import annotations

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.health.problems import (
    Patience,
    Problem,
    creation,
    job_failed,
)
from ansible_collections.nebari.mlflow.plugins.module_utils.health.volume_claims import of_claim

QUOTA = 'pods "one-web-1" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0'
SECURITY = 'pods "one-web-1" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
ACCOUNT = 'pods "one-web-1" is forbidden: error looking up service account x/y: serviceaccount "y" not found'
LIMIT = (
    'pods "one-web-1" is forbidden: [maximum cpu usage per Container is 1, but limit is 2, '
    "cpu max limit to request ratio per Container is 10, but provided ratio is 20.000000]"
)
POLICY = (
    "pods \"one-web-1\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: "
    "no fixed user, please"
)
WEBHOOK = 'admission webhook "validate.kyverno.svc" denied the request: label team is missing'
SILENT = (
    'Internal error occurred: failed calling webhook "rules.example.org": failed to call webhook: '
    'Post "https://rules.example.svc:443/?timeout=10s": context deadline exceeded'
)
HELM = f"warning: Hook test mlflow/templates/tests/pod.yaml failed: 1 error occurred:\n\t* {QUOTA}\n\n"
STATEFUL = "create Pod one-db-0 in StatefulSet one-db failed error: " + QUOTA


@pytest.mark.parametrize(
    ("message", "brief", "cause"),
    [
        (QUOTA, "quota exceeded", "Deployment/x cannot create its pod: exceeded quota: q, requested"),
        (STATEFUL, "quota exceeded", "Deployment/x cannot create its pod: exceeded quota: q, requested"),
        (
            HELM,
            "quota exceeded",
            "Deployment/x cannot create its pod: exceeded quota: q, requested: pods=1, used: pods=0",
        ),
        (
            LIMIT,
            "refused by a LimitRange",
            "cannot create its pod: [maximum cpu usage per Container is 1, but limit is 2",
        ),
        (POLICY, "refused by an admission rule", "denied request: no fixed user, please."),
        (f"Error creating: {WEBHOOK}", "refused by an admission rule", "x cannot create its pod: admission webhook"),
        (SECURITY, "refused by Pod Security", "cannot create its pod: violates PodSecurity"),
        (ACCOUNT, "service account missing", 'serviceaccount "y" not found'),
        (SILENT, "an admission webhook does not answer", "context deadline exceeded."),
        ("Internal error occurred: no more ports", "pod not created", "no more ports."),
    ],
)
def test_creation(message: str, brief: str, cause: str) -> None:
    problem = creation("Deployment/x", message)
    assert problem.brief == brief
    assert cause in problem.cause
    assert problem.grace is not None
    assert problem.grace < 60


def test_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    patience = Patience()
    pull = Problem("Pod/a", "pull", "ErrImagePull", "cause", grace=8)
    patience.note([pull])
    clock[0] += 7
    patience.note([Problem("Pod/a", "pull", "ImagePullBackOff", "the same in other words", grace=8)])
    assert not patience.is_lasting(pull)
    clock[0] += 2
    assert patience.is_lasting(pull)
    patience.note([])
    patience.note([pull])
    assert not patience.is_lasting(pull)  # it went away in between
    assert not patience.is_lasting(Problem("Pod/a", "schedule", "unschedulable"))


def test_passwords_in_logs_are_hidden() -> None:
    shown = Problem("Pod/a", "crash", "", "It ended.").with_log(
        "cannot reach postgresql://mlflow:hidden@db:5432/mlflow"
    )
    assert "hidden" not in shown.cause
    assert "postgresql://mlflow:***@db:5432/mlflow" in shown.cause


CLASSES = [
    {"metadata": {"name": "slow"}},
    {"metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}},
]
REFUSED = [{"reason": "ProvisioningFailed", "message": "no space"}]


@pytest.mark.parametrize(
    ("wanted", "classes", "events", "brief", "lasting"),
    [
        (None, CLASSES[:1], [], "no default StorageClass", True),
        (None, [], [], "no default StorageClass", True),
        (None, CLASSES, [], "waits for its volume", False),
        ("fast", CLASSES, [], "waits for its volume", False),
        ("fsat", CLASSES, [], "no StorageClass fsat", True),
        ("fast", CLASSES, REFUSED, "volume not provisioned", True),
        (None, None, [], "waits for its volume", False),  # we may not list classes
        (None, None, REFUSED, "volume not provisioned", True),
    ],
)
def test_claim(
    wanted: str | None,
    classes: list[dict[str, object]] | None,
    events: list[dict[str, object]],
    brief: str,
    lasting: bool,
) -> None:
    spec = {"storageClassName": wanted} if wanted else {}
    claim = {"metadata": {"name": "data"}, "spec": spec, "status": {"phase": "Pending"}}
    problem = of_claim(claim, classes, events)
    assert problem is not None
    assert problem.brief == brief
    assert (problem.grace is not None) is lasting
    assert of_claim({**claim, "status": {"phase": "Bound"}}, classes, events) is None


def test_script_error_becomes_cause_and_fix() -> None:
    log = "waiting for the database: connecting (0 s of 600 s)\nERROR: permission denied. Fix: GRANT it TO <user>;"
    shown = job_failed("Job/a", "Pod failed", "a-1", "migrate", "NML414").with_log(log)
    error = shown.error()
    assert (error.cause, error.code) == ("Job/a: permission denied.", "NML414")
    assert error.fix == "GRANT it TO <user>; then run it again."


def test_silent_job_shows_its_last_log_lines() -> None:
    shown = job_failed("Job/a", "Backoff limit", "a-1", "main", "").with_log("one\ntwo")
    assert "Its last lines:\none\ntwo" in shown.error().cause
    assert shown.error().code == "NML401"
