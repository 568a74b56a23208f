"""Deciders of an adoption, and a claim's new name at whatever request the run is killed."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.filter.adoption import adopted, adoption, counted
from ansible_collections.nebari.mlflow.plugins.module_utils.adoption.artifacts import decide, find
from ansible_collections.nebari.mlflow.plugins.module_utils.adoption.claim import NOTE, Rename, ensure_renamed
from ansible_collections.nebari.mlflow.plugins.module_utils.adoption.old import Writer, is_still_stopped, major_of
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError

SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "standard"}
WANTED = Rename("dev", "before", "after", {"app": "one"}, {"note": "two"}, timeout=1)
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
    assert cluster.objects[AFTER]["metadata"]["annotations"] == {"note": "two"}
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


SERVICE = {"kind": "Service", "metadata": {"name": "old-minio"}}
KEYS = [
    {"name": "AWS_ACCESS_KEY_ID", "valueFrom": {"secretKeyRef": {"name": "old-minio", "key": "root-user"}}},
    {"name": "AWS_SECRET_ACCESS_KEY", "valueFrom": {"secretKeyRef": {"name": "old-minio", "key": "root-password"}}},
]


def server(*arguments: str, endpoint: str = "", keys: bool = False, volumes: Any = ()) -> list[dict[str, Any]]:
    """Return the old release's manifests, with these arguments of its server."""
    env = [{"name": "MLFLOW_S3_ENDPOINT_URL", "value": endpoint}] if endpoint else []
    container = {
        "args": ["server", *arguments],
        "env": env + (KEYS if keys else []),
        "volumeMounts": [
            {"name": "data", "mountPath": "/bitnami/mlflow"},
            {"name": "tmp", "mountPath": "/app/mlartifacts"},
        ],
    }
    pod = {"containers": [{"args": None}, container], "volumes": list(volumes)}
    web = {"kind": "Deployment", "metadata": {"name": "old-tracking"}, "spec": {"template": {"spec": pod}}}
    return [SERVICE, web]


CLAIM = {"name": "data", "persistentVolumeClaim": {"claimName": "old-tracking"}}
TEMPORARY = {"name": "tmp", "emptyDir": {}}
MINIO = server("--artifacts-destination=s3://mlflow", endpoint="http://old-minio:80", keys=True)


@pytest.mark.parametrize(
    ("objects", "values", "kind", "words"),
    [
        (MINIO, {}, "bucket", "s3://mlflow at the release's own store old-minio"),
        (
            server("--artifacts-destination=s3://b/p", endpoint="https://s3.example.org", keys=True),
            {},
            "bucket",
            "s3://b/p at https://s3.example.org",
        ),
        (server("--artifacts-destination=s3://b"), {}, "cloud", "s3://b"),
        # a chart's own argument, and a later one that wins
        (
            server("--artifacts-destination=/bitnami/mlflow/mlartifacts", "--artifacts-destination", "gs://b/"),
            {},
            "cloud",
            "gs://b/",
        ),
        (
            server("--default-artifact-root=s3://r", "--artifacts-destination=s3://d", "--no-serve-artifacts"),
            {},
            "cloud",
            "s3://r",
        ),
        (
            server("--artifacts-destination=/bitnami/mlflow/mlartifacts", volumes=[CLAIM]),
            {},
            "volume",
            "/bitnami/mlflow/mlartifacts on PersistentVolumeClaim old-tracking",
        ),
        (
            server("--artifacts-destination=./mlartifacts", volumes=[CLAIM, TEMPORARY]),
            {},
            "lost",
            "/app/mlartifacts in the server's pod, on no volume",
        ),
        (server(), {}, "unknown", "its server's arguments name no store"),
        (
            server(),
            {"externalAzureBlob": {"storageAccount": "a", "containerName": "c"}},
            "cloud",
            "wasbs://c@a.blob.core.windows.net",
        ),
        (server(), {"externalGCS": {"bucket": "b"}}, "cloud", "gs://b"),
        (server(), {"externalS3": {"host": "s3.example.org", "bucket": "b"}}, "cloud", "s3://b"),
    ],
)
def test_arguments_of_the_old_server_say_where_artifacts_are(
    objects: list[dict[str, Any]], values: dict[str, Any], kind: str, words: str
) -> None:
    found = find(objects, values, "dev")
    assert (found.kind, found.words) == (kind, words)


def test_a_path_is_known_by_each_of_its_spellings() -> None:
    found = find(server("--artifacts-destination=/bitnami/mlflow/x/", volumes=[CLAIM]), {}, "dev")
    assert found.folder == "x"
    assert found.locations == ["/bitnami/mlflow/x", "file:///bitnami/mlflow/x", "file:/bitnami/mlflow/x"]
    assert "mlflow-artifacts://old-tracking.dev.svc:5000" in found.hosts


def store(uri: str, *, secret: str = "", endpoint: str = "", volume: bool = False) -> dict[str, Any]:
    env = [{"name": "MLFLOW_S3_ENDPOINT_URL", "value": endpoint}] if endpoint else []
    return {"uri": uri, "secret": secret, "claim": {"name": "c"} if volume else {}, "container": {"env": env}}


@pytest.mark.parametrize(
    ("objects", "wanted", "way", "why"),
    [
        (MINIO, store("/mlflow/artifacts", volume=True), "copy", ""),
        (MINIO, store("s3://mlflow", secret="keys", endpoint="https://s3.example.org"), "copy", ""),
        (
            MINIO,
            store("s3://mlflow", secret="keys", endpoint="http://old-minio.dev.svc:80"),
            "left",
            "go with the old release",
        ),
        (MINIO, store("gs://new"), "left", "exists only after the deploy"),
        (server("--artifacts-destination", "gs://b/"), store("gs://b"), "stay", ""),
        (server("--artifacts-destination", "gs://b/"), store("gs://new/artifacts"), "left", "mlflow_gcp_adopt"),
        (server("--artifacts-destination=s3://b", keys=True), store("s3://b", secret="keys"), "stay", ""),
        (server("--artifacts-destination=s3://b", keys=True), store("/mlflow/artifacts", volume=True), "copy", ""),
        (
            server("--artifacts-destination=/bitnami/mlflow/x", volumes=[CLAIM]),
            store("/mlflow/artifacts", volume=True),
            "copy",
            "",
        ),
        (server("--artifacts-destination=/tmp/x"), store("/mlflow/artifacts", volume=True), "left", "they vanish"),
        (server(), store("/mlflow/artifacts", volume=True), "left", "not known"),
    ],
)
def test_artifacts_are_copied_or_stay_or_someone_is_told(
    objects: list[dict[str, Any]], wanted: dict[str, Any], way: str, why: str
) -> None:
    decided = decide(find(objects, {}, "dev"), wanted)
    assert decided["way"] == way
    assert why in decided["why"]
    assert bool(decided["why"]) == (way == "left")


OLD: dict[str, Any] = {
    "stage": "found",
    "chart": "mlflow 5.1.17",
    "app_version": "3.3.2",
    "database": {"database": "d", "claim": "c", "pod": ""},
    "claims": [],
    "artifacts": {"words": "s3://b at AWS"},
}
REPORT = """server 17.6
moved runs.artifact_uri 3 s3://b
elsewhere experiments.artifact_location 1 hdfs://c
old runs 6 12
old tags 2 3
new runs 6 12
new tags 2 4
"""


def test_a_table_that_differs_is_named() -> None:
    facts = adoption(OLD, REPORT)
    assert facts["different"] == ["tags"]
    assert facts["lines"] == [
        "runs, deleted ones included: 6 before, 6 after, same checksum",
        "tags of runs: 2 before, 2 after, checksums differ",
        "3 x runs.artifact_uri: s3://b is now in the new store",
        "1 x experiments.artifact_location lead to hdfs://c, which is neither store: to have the server open it, list "
        "it in tracking.artifactLocations",
    ]
    assert facts["moved"] == [{"column": "runs.artifact_uri", "rows": 3, "location": "s3://b"}]
    assert adoption(OLD, "old runs 1 1\n")["different"] == ["runs"]


def test_what_was_found_is_said_in_lines() -> None:
    assert "database: d on PersistentVolumeClaim c, no pod of it is ready" in adopted(OLD)
    assert "holds: 6 runs" in adopted(OLD, "1|6|7|0|0|1234|17.6")
    assert counted("psql: error") == {}


def test_artifacts_of_both_sides_are_compared() -> None:
    side = {"files": 2, "bytes": 10, "checksum": "x"}
    facts = adoption(OLD, "", artifacts=json.dumps({"old": side, "new": side, "copied": 2}))
    assert facts["lines"] == ["artifacts: 2 files and 10 bytes before, 2 and 10 after, same checksum"]
    assert facts["files"]["new"] == side
