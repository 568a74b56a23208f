"""What another chart's release holds is taken over whole, whether its pods run or not, and whatever is interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nebari_mlflow.cli.options import SHAPE
from tests.documents import document
from tests.support import MLFLOW_IMAGE, ROOT, Played, command, environment, kubectl, objects, play, run_pod, stores

pytestmark = pytest.mark.cluster
LONG = pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it")
NAMESPACE = "adopt-test"
OLD_URI = "postgresql+psycopg2://bn_mlflow:of-the-peer@old-mlflow-postgresql:5432/bitnami_mlflow"
OLD_STORE: dict[str, Any] = {
    "MLFLOW_S3_ENDPOINT_URL": "http://old-mlflow-minio:80",
    "AWS_ACCESS_KEY_ID": "minio",
    "AWS_SECRET_ACCESS_KEY": "of-the-old-store",
    "AWS_DEFAULT_REGION": "us-east-1",
}
INPUTS: dict[str, Any] = {
    "mlflow_provider": "local",
    "mlflow_project_name": "old",
    "mlflow_namespace": NAMESPACE,
    "mlflow_kubeconfig": os.environ.get("KUBECONFIG", ""),
    "mlflow_overrides": {"tracking": {"workers": 1}},
}
KINDS = "deploy,sts,svc,secret,cm,pvc,job"
SEED = r"""
import math, os
import boto3
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
client = MlflowClient()
store = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
store.create_bucket(Bucket="mlflow")
PLACES = ["mlflow-artifacts:/1", "s3://mlflow/2", "mlflow-artifacts://old-mlflow-tracking:5000/3"]
for number, place in enumerate(PLACES, start=1):
    experiment = client.create_experiment(f"old {number} 'é\"", artifact_location=place)
    for index in range(3):
        run = client.create_run(experiment).info.run_id
        values = [0.1, math.nan, math.inf, -math.inf, 1e-300, *(x / 7 for x in range(100))]
        metrics = [Metric("loss", value, 1000 + step, step) for step, value in enumerate(values)]
        client.log_batch(run, metrics, [Param("p", "v\n;$$'\\")], [RunTag("t", "ü")])
        client.set_terminated(run)
        if index == 2:
            client.delete_run(run)
        files = {"empty.txt": b"", "folder/file with é space.txt": run.encode(), "m/large.bin": run.encode() * 300_000}
        for name, content in files.items():
            store.put_object(Bucket="mlflow", Key=f"{number}/{run}/artifacts/{name}", Body=content)
client.create_registered_model("model", tags={"a": "b"})
client.create_model_version("model", f"{PLACES[1]}/{run}/artifacts/m", run)
client.set_registered_model_alias("model", "champion", "1")
"""
READ = r"""
import hashlib, json, os
os.chdir("/tmp")  # where older versions may create a directory for artifacts
import boto3, mlflow, requests
from mlflow import MlflowClient
client = MlflowClient()
served = os.environ["MLFLOW_TRACKING_URI"].startswith("http")

def place(location):
    for start in ("s3://mlflow/", "mlflow-artifacts://old-mlflow-tracking:5000/"):
        if not served and location.startswith(start):
            return "mlflow-artifacts:/" + location.removeprefix(start)
    return location

def walk(run, folder=None):
    for each in client.list_artifacts(run, folder):
        if each.is_dir:
            yield from walk(run, each.path)
        else:
            yield each.path

def files(run):
    for path in walk(run.info.run_id):
        with open(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=path), "rb") as stream:
            content = stream.read()
        shown = requests.get(f"{os.environ['MLFLOW_TRACKING_URI']}/get-artifact",
                             params={"run_uuid": run.info.run_id, "path": path}, timeout=60)
        assert shown.status_code == 200 and shown.content == content, (path, shown.status_code)
        root = run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
        yield f"{root}/{path}", hashlib.sha256(content).hexdigest()

def objects():
    store = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
    for each in store.list_objects_v2(Bucket="mlflow")["Contents"]:
        body = store.get_object(Bucket="mlflow", Key=each["Key"])["Body"].read()
        yield each["Key"], hashlib.sha256(body).hexdigest()

found, artifacts = {}, {}
for experiment in client.search_experiments(filter_string="name LIKE 'old%'"):
    for run in client.search_runs([experiment.experiment_id], run_view_type=3):
        history = [[m.step, repr(m.value), m.timestamp] for m in client.get_metric_history(run.info.run_id, "loss")]
        found[run.info.run_id] = [
            experiment.name, place(experiment.artifact_location), run.info.lifecycle_stage, run.info.status,
            sorted(history), run.data.params, run.data.tags, place(run.info.artifact_uri),
        ]
        if served:
            artifacts.update(files(run))
model = client.get_registered_model("model")
version = client.get_model_version_by_alias("model", "champion")
aliases = {name: str(number) for name, number in model.aliases.items()}
found["model"] = [model.tags, aliases, str(version.version), place(version.source), version.run_id]
found["artifacts"] = artifacts if served else dict(objects())
print("READ " + json.dumps(found, sort_keys=True))
"""


def read(uri: str, image: str = MLFLOW_IMAGE) -> dict[str, Any]:
    out = run_pod(NAMESPACE, "reader", READ, timeout=420, image=image, MLFLOW_TRACKING_URI=uri, **OLD_STORE)
    found: dict[str, Any] = json.loads(out.partition("READ ")[2])
    return found


def adopt(*arguments: str, **variables: Any) -> Played:
    """Run the playbook; what it returns must be as the schema of `nebari-mlflow adopt --json` says."""
    played = play("adopt", *arguments, **{**INPUTS, **variables})
    if played.returncode == 0:
        whole = {"type": "nebari-mlflow.adopt", "version": SHAPE, "outputs": played.mlflow, "seconds": 1, "log": ""}
        document(json.dumps(whole))
    return played


@pytest.fixture(scope="module")
def before() -> Iterator[dict[str, Any]]:
    """An old release with runs, and what MLflow reads from it."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    chart = str(ROOT / "tests/integration/charts/peer")
    line = [
        "helm",
        "install",
        "old-mlflow",
        chart,
        "--namespace",
        NAMESPACE,
        "--create-namespace",
        "--wait",
        "--timeout=15m",
    ]
    values = f"real=true,minio.enabled=true,minio.image={stores()}"
    subprocess.run([*line, "--set", values], check=True, capture_output=True)
    run_pod(NAMESPACE, "seed", SEED, timeout=420, MLFLOW_TRACKING_URI=OLD_URI, **OLD_STORE)
    yield read(OLD_URI)
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def test_a_plan_shows_what_there_is_and_changes_nothing(before: dict[str, Any]) -> None:
    assert len(before) == 11
    assert len(before["artifacts"]) == 27
    there = objects(NAMESPACE, KINDS)
    planned = adopt("--check")
    assert planned.returncode == 0, planned.failure
    assert planned.changed == 0
    assert planned.mlflow["adopted"]["chart"] == "mlflow 5.1.17"
    assert planned.mlflow["adopted"]["holds"]["runs"] == "9"
    assert planned.mlflow["adopted"]["artifacts"] == "s3://mlflow at the release's own store old-mlflow-minio"
    assert planned.mlflow["adopted"]["artifacts_next"] == [
        "artifacts: they are copied into /mlflow/artifacts, and compared"
    ]
    assert objects(NAMESPACE, KINDS) == there


def test_artifacts_are_not_left_behind_unasked(before: dict[str, Any]) -> None:
    assert before
    there = objects(NAMESPACE, KINDS)
    refused = adopt(mlflow_provider="existing", mlflow_storage={"uri": "gs://elsewhere"}).failure
    assert "artifacts of the old release would be left behind" in refused
    assert "mlflow_adopt_without_artifacts=true" in refused
    own = {
        "uri": "s3://mlflow",
        "secret": "keys",
        "env": {"MLFLOW_S3_ENDPOINT_URL": f"http://old-mlflow-minio.{NAMESPACE}.svc"},
    }
    assert "whose pods go with the old release" in adopt(mlflow_provider="existing", mlflow_storage=own).failure
    assert objects(NAMESPACE, KINDS) == there


@LONG
def test_a_killed_adoption_is_finished_by_the_next(before: dict[str, Any]) -> None:
    """Once from the volume, because the old pods cannot start, and killed while the old release goes."""
    image = json.dumps(
        [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "gone.invalid/a:17.6"}]
    )
    kubectl("-n", NAMESPACE, "patch", "sts", "old-mlflow-postgresql", "--type=json", "-p", image)
    kubectl("-n", NAMESPACE, "delete", "pod", "old-mlflow-postgresql-0")
    kill_when(lambda: "Job/old-mlflow-adopt-artifacts" in objects(NAMESPACE, "job"), meanwhile=refused_at_once)
    kill_when(lambda: "Job/old-mlflow-adopt" in objects(NAMESPACE, "job"))
    refused = play("mlflow", **INPUTS)
    assert "was installed from another chart" in refused.failure
    kill_when(lambda: "StatefulSet/old-mlflow-postgresql" not in objects(NAMESPACE, "sts"))
    done = adopt()
    assert done.returncode == 0, done.failure
    assert done.mlflow["verified"]
    assert done.mlflow["adopted"]["different"] == []
    assert done.mlflow["adopted"]["tables"]["runs"]["new"]["rows"] == 9
    assert done.mlflow["adopted"]["files"]["old"] == done.mlflow["adopted"]["files"]["new"]
    assert done.mlflow["adopted"]["files"]["new"]["files"] == 27
    assert {each["location"] for each in done.mlflow["adopted"]["moved"]} == {
        "s3://mlflow",
        "mlflow-artifacts://old-mlflow-tracking:5000",
    }
    # Of the default experiment, which the client that filled the old database created in its own pod.
    assert [each["location"] for each in done.mlflow["adopted"]["elsewhere"]] == ["/mlruns"]
    assert read(f"http://old-mlflow-tracking.{NAMESPACE}.svc:5000") == before


@LONG
def test_a_second_adoption_changes_nothing(before: dict[str, Any]) -> None:
    assert before
    again = adopt()
    assert again.returncode == 0, again.failure
    assert again.changed == 0
    assert {"PersistentVolumeClaim/old-mlflow-old-database", "PersistentVolumeClaim/old-mlflow-minio"} <= objects(
        NAMESPACE, KINDS
    ).keys()


@LONG
def test_what_was_kept_is_removed_when_the_project_is_named(before: dict[str, Any]) -> None:
    assert before
    removed = adopt(mlflow_remove_old="old")
    assert removed.returncode == 0, removed.failure
    left = objects(NAMESPACE, KINDS)
    assert "PersistentVolumeClaim/old-mlflow-old-database" not in left
    assert not {"PersistentVolumeClaim/old-mlflow-minio", "PersistentVolumeClaim/old-mlflow-tracking"} & left.keys()
    assert {
        "PersistentVolumeClaim/data-old-mlflow-postgresql-0",
        "PersistentVolumeClaim/old-mlflow-artifacts",
    } <= left.keys()
    assert adopt().changed == 0


def refused_at_once() -> None:
    """A second adoption, beside one that works."""
    assert "Another deploy of old-mlflow in namespace adopt-test is running" in adopt().failure


def kill_when(check: Any, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Run an adoption, and kill it with all of its processes as soon as the cluster shows something."""
    victim = subprocess.Popen(
        command("adopt", **INPUTS), cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        until(check)
        meanwhile()
    finally:
        os.killpg(victim.pid, signal.SIGKILL)
        victim.wait()


def until(check: Any, limit: float = 420) -> None:
    started = time.monotonic()
    while not check():
        assert time.monotonic() - started < limit
        time.sleep(0.3)
