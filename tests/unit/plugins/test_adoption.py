"""Deciders of an adoption, and a claim's new name at whatever request the run is killed."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.filter.adoption import adopted, adoption, counted
from ansible_collections.nebari.mlflow.plugins.module_utils.adoption.claim import NOTE, Rename, ensure_renamed
from ansible_collections.nebari.mlflow.plugins.module_utils.adoption.old import (
    Writer,
    artifacts,
    is_still_stopped,
    major_of,
)
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError

SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "standard"}
WANTED = Rename("dev", "before", "after", {"app": "one"}, timeout=1)
VOLUME = "/api/v1/persistentvolumes/pv-1"
BEFORE, AFTER = f"{WANTED.folder}/before", f"{WANTED.folder}/after"


class Killed(Exception):
    """The run ends here."""


class Cluster:
    """Claims and one volume, as the API server and the controllers keep them; a write may be the last one."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {
            VOLUME: {
                "metadata": {"name": "pv-1", "annotations": {}},
                "spec": {"persistentVolumeReclaimPolicy": "Delete", "claimRef": {"namespace": "dev", "name": "before"}},
            },
            BEFORE: {
                "metadata": {"name": "before", "uid": "1"},
                "spec": {**SPEC, "volumeName": "pv-1"},
                "status": {"phase": "Bound"},
            },
        }
        self.left = 1000

    def find(self, path: str) -> Any:
        return copy.deepcopy(self.objects.get(path))

    def request(self, method: str, path: str, *, body: Any = None, content_type: str = "") -> Any:
        if method == "GET":
            return {"items": [self.find(VOLUME)]} if path.endswith("volumes") else self.find(path)
        assert content_type or method == "POST"
        self.write()
        if method == "POST":
            new = copy.deepcopy(body)
            reserved = self.objects[VOLUME]["spec"]["claimRef"]["name"] == new["metadata"]["name"]
            new["status"] = {"phase": "Bound" if reserved else "Pending"}
            self.objects[f"{path}/{new['metadata']['name']}"] = new
            return new
        self.objects[path] = merged(self.objects[path], body)
        return self.find(path)

    def delete(self, path: str, body: Any = None) -> bool:
        self.write()
        assert body["preconditions"]["uid"] == self.objects[path]["metadata"]["uid"]
        del self.objects[path]
        assert self.objects[VOLUME]["spec"]["persistentVolumeReclaimPolicy"] == "Retain", "the data are gone"
        return True

    def write(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1


def merged(there: Any, patch: Any) -> Any:
    if not isinstance(patch, dict) or not isinstance(there, dict):
        return patch
    both = {**there, **{key: merged(there.get(key, {}), value) for key, value in patch.items()}}
    return {key: value for key, value in both.items() if value is not None}


def run(cluster: Cluster, *, check: bool = False) -> list[str]:
    changes = ensure_renamed(cluster, WANTED, check_mode=check)  # type: ignore[arg-type]
    return [f"{change.action} {change.name}" for change in changes]


def test_a_renamed_claim_keeps_its_volume() -> None:
    cluster = Cluster()
    assert run(cluster, check=True) == ["delete before", "create after"]
    assert cluster.objects.keys() == {VOLUME, BEFORE}
    assert run(cluster) == ["delete before", "create after"]
    volume = cluster.objects[VOLUME]
    assert volume["spec"] == {
        "persistentVolumeReclaimPolicy": "Delete",
        "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "dev", "name": "after"},
    }
    assert NOTE not in volume["metadata"]["annotations"]
    assert cluster.objects.keys() == {VOLUME, AFTER}
    assert cluster.objects[AFTER]["spec"] == {**SPEC, "volumeName": "pv-1"}
    assert cluster.objects[AFTER]["metadata"]["labels"] == {"app": "one"}
    assert run(cluster) == []


def test_next_run_finishes_a_kill_at_any_request() -> None:
    for writes in itertools.count():
        cluster = Cluster()
        cluster.left = writes
        try:
            run(cluster)
        except Killed:
            cluster.left = 1000
            run(cluster)
            whole = Cluster()
            run(whole)
            assert cluster.objects == whole.objects, f"killed after {writes} writes"
        else:
            assert writes > 4
            return


def test_a_claim_is_not_renamed_onto_another_one() -> None:
    cluster = Cluster()
    cluster.objects[AFTER] = {"metadata": {"name": "after", "uid": "2"}, "spec": {}}
    with pytest.raises(ReleaseError, match="after exists, too"):
        run(cluster)


@pytest.mark.parametrize(
    ("image", "major"),
    [
        ("docker.io/bitnami/postgresql:17.6.0-debian-12-r4", "17"),
        ("registry.example.org:5000/bitnami/postgresql:14", "14"),
        ("bitnamilegacy/postgresql:latest", ""),
        ("bitnami/postgresql@sha256:1234", ""),
    ],
)
def test_the_major_version_comes_from_the_tag(image: str, major: str) -> None:
    assert major_of(image) == major


@pytest.mark.parametrize(
    ("replicas", "generation", "expected"), [(0, 4, True), (0, 6, False), (1, 5, False), (1, 4, False)]
)
def test_a_copy_is_current_only_while_no_server_was_started(replicas: int, generation: int, expected: bool) -> None:
    assert is_still_stopped([Writer("web", replicas, generation, {})], {"web": 4}) is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"externalS3": {"host": "s3.example.org", "bucket": "b"}}, "S3 bucket b at s3.example.org"),
        ({"externalAzureBlob": {"storageAccount": "a", "containerName": "c"}}, "Azure container c of account a"),
        ({"externalGCS": {"bucket": "b"}}, "GCS bucket b"),
        ({"minio": {"enabled": True}}, "MinIO of the release"),
    ],
)
def test_the_old_values_say_where_artifacts_are(values: dict[str, Any], expected: str) -> None:
    assert artifacts(values) == expected


OLD: dict[str, Any] = {
    "stage": "found",
    "chart": "mlflow 5.1.17",
    "app_version": "3.3.2",
    "database": {"database": "d", "claim": "c", "pod": ""},
    "claims": [],
    "artifacts": "",
}
REPORT = "server 17.6\nlocation s3://b\nold runs 6 12\nold tags 2 3\nnew runs 6 12\nnew tags 2 4\n"


def test_a_table_that_differs_is_named() -> None:
    facts = adoption(OLD, REPORT)
    assert facts["different"] == ["tags"]
    assert facts["lines"] == [
        "runs, deleted ones included: 6 before, 6 after, same checksum",
        "tags of runs: 2 before, 2 after, checksums differ",
    ]
    assert facts["artifact_locations"] == ["s3://b"]
    assert adoption(OLD, "old runs 1 1\n")["different"] == ["runs"]


def test_what_was_found_is_said_in_lines() -> None:
    assert "database: d on PersistentVolumeClaim c, no pod of it is ready" in adopted(OLD)
    assert "holds: 6 runs" in adopted(OLD, "1|6|7|0|0|1234|17.6")
    assert counted("psql: error") == {}
