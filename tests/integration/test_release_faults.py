"""A deploy that cannot become ready says why and what to do within a minute; once that is repaired, it works.

The faulty deploys run side by side, as all they do is wait.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.release import IMAGE, Release, fresh
from tests.support import kubectl

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.cluster
SOON = 60  # seconds
DEFAULT = "storageclass.kubernetes.io/is-default-class"
FULL = "echo postgresql://u:pw@db is full; exit 3"
DATABASE: dict[str, Any] = {"deployment": False, "database": {"size": "1Gi"}}
ENFORCE = "pod-security.kubernetes.io/enforce"


@dataclass(frozen=True)
class Fault:
    """Values that cannot work, what is to be said about them, and values that repair them.

    `before` and `after` are kubectl commands, for a fault that the values do not make and do not repair.
    """

    values: dict[str, Any]
    said: list[str]
    repaired: dict[str, Any] = field(default_factory=dict)
    before: list[list[str]] = field(default_factory=list)
    after: list[list[str]] = field(default_factory=list)


FAULTS = {
    "image": Fault(
        {"image": "registry.invalid/mlflow:v9", **DATABASE},
        ["'registry.invalid/mlflow:v9'", "Correct the image"],
        DATABASE,
    ),
    "storage-class": Fault(
        {**DATABASE, "database": {"size": "1Gi", "storageClass": "nope"}},
        ["data-one-db-0", "no StorageClass 'nope'", "the cluster has: "],
        DATABASE,
    ),
    "secret": Fault(
        {"env": {"A": {"secretKeyRef": {"name": "nope", "key": "k"}}}}, ['secret "nope" not found', "container web"]
    ),
    "account": Fault({"serviceAccount": "ghost"}, ['serviceaccount "ghost" not found', "Create that ServiceAccount"]),
    "program": Fault({"image": IMAGE, "command": ["nosuch"]}, ['"nosuch"', "container web"]),
    "job": Fault(
        {
            "deployment": False,
            "job": {"image": IMAGE, "command": ["sh", "-c", "echo postgresql://u:pw@db is full; exit 3"]},
        },
        ["Job/one-migrate failed", "postgresql://u:***@db is full"],
        {"deployment": False, "job": {"image": IMAGE, "command": ["true"]}},
    ),
    "quota": Fault(
        {},
        ["exceeded quota: narrow", "Raise that ResourceQuota"],
        before=[["create", "quota", "narrow", "--hard=pods=0"]],
        after=[["delete", "quota", "narrow"]],
    ),
    "pod-security": Fault(
        {},
        ["violates PodSecurity", "Correct the securityContext"],
        before=[["label", "namespace", "NAMESPACE", f"{ENFORCE}=restricted"]],
        after=[["label", "namespace", "NAMESPACE", f"{ENFORCE}-"]],
    ),
}
Started = dict[str, tuple[Release, "subprocess.Popen[str]"]]


def prepare(release: Release, commands: list[list[str]]) -> None:
    for command in commands:
        release.kubectl(*[release.namespace if word == "NAMESPACE" else word for word in command])


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    found: Started = {}
    for name, fault in FAULTS.items():
        release = Release(f"rel-fault-{name}-{os.getpid()}", tmp_path_factory.mktemp(name))
        kubectl("create", "namespace", release.namespace)
        prepare(release, fault.before)
        found[name] = (release, release.start(values=fault.values))
    yield found
    for release, _ in found.values():
        kubectl("delete", "namespace", release.namespace, "--ignore-not-found", "--wait=false")


@pytest.fixture
def release(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Release]:
    yield from fresh(tmp_path, request.node.name.removeprefix("test_"))


@pytest.mark.parametrize("name", FAULTS)
def test_fault_and_repair(started: Started, name: str) -> None:
    release, process = started[name]
    fault = FAULTS[name]
    run = release.finish(process)
    for words in fault.said:
        assert words in run.message
    assert run.result["fix"]
    assert run.result["elapsed"] < SOON
    objects = {kind: [item["metadata"]["uid"] for item in release.get(kind)["items"]] for kind in ("pvc", "job")}
    if name == "job":  # the same again: a Job that gave up is made anew
        assert "Job/one-migrate failed" in release.fail(**fault.values).message
        assert [item["metadata"]["uid"] for item in release.get("job")["items"]] != objects["job"]
    prepare(release, fault.after)
    again = release.deploy(**fault.repaired)
    assert again.changed is (fault.values != fault.repaired)
    assert again.result["elapsed"] < SOON  # controllers back off for longer, if they are left alone
    assert not release.deploy(**fault.repaired).changed
    if name == "image":  # the volume was bound, and stays
        assert [item["metadata"]["uid"] for item in release.get("pvc")["items"]] == objects["pvc"]


@pytest.mark.alone
def test_no_default_storage_class(release: Release) -> None:
    classes = json.loads(kubectl("get", "storageclass", "-o", "json"))["items"]
    defaults = [c["metadata"]["name"] for c in classes if c["metadata"].get("annotations", {}).get(DEFAULT) == "true"]
    kubectl("annotate", "storageclass", *defaults, f"{DEFAULT}=false", "--overwrite")
    try:
        run = release.fail(**DATABASE)
    finally:
        kubectl("annotate", "storageclass", *defaults, f"{DEFAULT}=true", "--overwrite")
    assert "no default one" in run.message
    assert "Set the storage class" in run.message
    assert run.result["elapsed"] < SOON
    release.deploy(**DATABASE)


def test_what_may_still_come_right_is_told_at_the_deadline(release: Release) -> None:
    run = release.run(values={"resources": {"requests": {"cpu": "90"}}}, timeout=6)
    assert "Not ready after 6 s: Deployment/one-web" in run.message
    assert "Insufficient cpu" in run.message
