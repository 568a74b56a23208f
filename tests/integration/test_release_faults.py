"""A deploy that cannot become ready says why and what to do within a minute; once that is repaired, it works."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.release import IMAGE, Release, fresh
from tests.support import kubectl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.cluster
SOON = 60  # seconds
DEFAULT = "storageclass.kubernetes.io/is-default-class"


@pytest.fixture
def release(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Release]:
    yield from fresh(tmp_path, request.node.name.removeprefix("test_"))


FAULTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an image that is nowhere": (
        {"image": "registry.invalid/mlflow:v9"},
        ["registry.invalid/mlflow:v9", "no such host", "Correct the image"],
    ),
    "a Secret that is missing": (
        {"env": {"A": {"secretKeyRef": {"name": "nope", "key": "k"}}}},
        ['secret "nope" not found', "container web"],
    ),
    "a service account that is missing": (
        {"serviceAccount": "ghost"},
        ['serviceaccount "ghost" not found', "Create that ServiceAccount"],
    ),
    "a program that is missing": ({"image": IMAGE, "command": ["nosuch"]}, ['"nosuch"', "container web"]),
    "a storage class that is missing": (
        {"database": {"size": "1Gi", "storageClass": "nope"}},
        ["data-one-db-0", "no StorageClass 'nope'", "the cluster has: "],
    ),
    "a Job that fails": (
        {"job": {"image": IMAGE, "command": ["sh", "-c", "echo postgresql://u:hidden@db/x is full; exit 3"]}},
        ["Job/one-migrate failed", "postgresql://u:***@db/x is full"],
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_fault(release: Release, case: str) -> None:
    values, said = FAULTS[case]
    run = release.fail(**values)
    for words in said:
        assert words in run.message
    assert run.seconds < SOON
    repaired: dict[str, Any] = {"database": {"size": "1Gi"}} if "database" in values else {}
    if "job" in values:
        repaired = {"job": {"image": IMAGE, "command": ["true"]}}
    assert release.deploy(**repaired).changed
    assert not release.deploy(**repaired).changed


def test_a_job_that_failed_is_run_again_unchanged(release: Release) -> None:
    command = ["sh", "-c", 'test -n "$(ls /ok 2>/dev/null)" || exit 4']
    values: dict[str, Any] = {"job": {"image": IMAGE, "command": command}, "deployment": False}
    release.fail(**values)
    first = release.get("job/one-migrate")["metadata"]["uid"]
    run = release.fail(**values)
    assert "Job/one-migrate failed" in run.message
    assert release.get("job/one-migrate")["metadata"]["uid"] != first


def test_quota(release: Release) -> None:
    kubectl("create", "namespace", release.namespace)
    release.kubectl("create", "quota", "narrow", "--hard=pods=0")
    run = release.fail()
    assert "exceeded quota: narrow" in run.message
    assert run.seconds < SOON
    release.kubectl("delete", "quota", "narrow")
    again = release.deploy()  # nothing of the chart has changed: its controller is made to try at once
    assert not again.changed
    assert again.seconds < SOON / 2


def test_pod_security(release: Release) -> None:
    kubectl("create", "namespace", release.namespace)
    kubectl("label", "namespace", release.namespace, "pod-security.kubernetes.io/enforce=restricted")
    run = release.fail()
    assert "violates PodSecurity" in run.message
    assert run.seconds < SOON
    kubectl("label", "namespace", release.namespace, "pod-security.kubernetes.io/enforce-")
    release.deploy()


def test_no_default_storage_class(release: Release) -> None:
    classes = json.loads(kubectl("get", "storageclass", "-o", "json"))["items"]
    defaults = [c["metadata"]["name"] for c in classes if c["metadata"].get("annotations", {}).get(DEFAULT) == "true"]
    kubectl("annotate", "storageclass", *defaults, f"{DEFAULT}=false", "--overwrite")
    try:
        run = release.fail(deployment=False, database={"size": "1Gi"})
    finally:
        kubectl("annotate", "storageclass", *defaults, f"{DEFAULT}=true", "--overwrite")
    assert "no default one" in run.message
    assert "Set the storage class" in run.message
    assert run.seconds < SOON
    release.deploy(deployment=False, database={"size": "1Gi"})


def test_what_may_still_come_right_is_told_at_the_deadline(release: Release) -> None:
    greedy = {"requests": {"cpu": "90"}}
    run = release.run(values={"resources": greedy}, timeout=6)
    assert "Not ready after 6 s: Deployment/one-web" in run.message
    assert "Insufficient cpu" in run.message


def test_a_stuck_pod_of_a_stateful_set_is_replaced(release: Release) -> None:
    database: dict[str, Any] = {"deployment": False, "database": {"size": "1Gi"}}
    release.fail(image="registry.invalid/mlflow:v9", **database)
    claim = release.get("pvc/data-one-db-0")["metadata"]["uid"]
    release.deploy(**database)
    assert release.get("pvc/data-one-db-0")["metadata"]["uid"] == claim
