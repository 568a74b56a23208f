"""What another chart's release holds is taken over whole, whether its pods run or not, and whatever is interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import ROOT, Played, command, environment, kubectl, objects, play, run_pod

pytestmark = pytest.mark.cluster
LONG = pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it")
NAMESPACE = "adopt-test"
OLD_URI = "postgresql+psycopg2://bn_mlflow:of-the-peer@old-mlflow-postgresql:5432/bitnami_mlflow"
INPUTS: dict[str, Any] = {
    "mlflow_provider": "local",
    "mlflow_project_name": "old",
    "mlflow_namespace": NAMESPACE,
    "mlflow_kubeconfig": os.environ.get("KUBECONFIG", ""),
}
KINDS = "deploy,sts,svc,secret,cm,pvc,job"
SEED = r"""
import math
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
client = MlflowClient()
for number in (1, 2):
    experiment = client.create_experiment(f"old {number} 'é\"", artifact_location=f"mlflow-artifacts:/{number}")
    for index in range(3):
        run = client.create_run(experiment).info.run_id
        values = [0.1, math.nan, math.inf, -math.inf, 1e-300, *(x / 7 for x in range(100))]
        metrics = [Metric("loss", value, 1000 + step, step) for step, value in enumerate(values)]
        client.log_batch(run, metrics, [Param("p", "v\n;$$'\\")], [RunTag("t", "ü")])
        client.set_terminated(run)
        if index == 2:
            client.delete_run(run)
client.create_registered_model("model", tags={"a": "b"})
client.create_model_version("model", "mlflow-artifacts:/1/m", run)
client.set_registered_model_alias("model", "champion", "1")
"""
READ = r"""
import json
from mlflow import MlflowClient
client = MlflowClient()
found = {}
for experiment in client.search_experiments(filter_string="name LIKE 'old%'"):
    for run in client.search_runs([experiment.experiment_id], run_view_type=3):
        history = [[m.step, repr(m.value), m.timestamp] for m in client.get_metric_history(run.info.run_id, "loss")]
        found[run.info.run_id] = [
            experiment.name, experiment.artifact_location, run.info.lifecycle_stage, run.info.status,
            sorted(history), run.data.params, run.data.tags,
        ]
model = client.get_registered_model("model")
version = client.get_model_version_by_alias("model", "champion")
aliases = {name: str(number) for name, number in model.aliases.items()}
found["model"] = [model.tags, aliases, str(version.version), version.source, version.run_id]
print("READ " + json.dumps(found, sort_keys=True))
"""


def read(uri: str) -> dict[str, Any]:
    out = run_pod(NAMESPACE, "reader", READ, timeout=420, MLFLOW_TRACKING_URI=uri)
    found: dict[str, Any] = json.loads(out.partition("READ ")[2])
    return found


def adopt(*arguments: str, **variables: Any) -> Played:
    return play("adopt", *arguments, **INPUTS, mlflow_adopt_without_artifacts=True, **variables)


@pytest.fixture(scope="module")
def before() -> Iterator[dict[str, Any]]:
    """An old release with runs, and what MLflow reads from it."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    chart = str(ROOT / "tests/integration/charts/peer")
    line = ["helm", "install", "old-mlflow", chart, "--namespace", NAMESPACE, "--create-namespace", "--wait"]
    subprocess.run([*line, "--set", "real=true"], check=True, capture_output=True)
    run_pod(NAMESPACE, "seed", SEED, timeout=420, MLFLOW_TRACKING_URI=OLD_URI)
    yield read(OLD_URI)
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def test_a_plan_shows_what_there_is_and_changes_nothing(before: dict[str, Any]) -> None:
    assert len(before) == 7
    there = objects(NAMESPACE, KINDS)
    planned = adopt("--check")
    assert planned.returncode == 0, planned.failure
    assert planned.changed == 0
    assert planned.mlflow["adopted"]["chart"] == "mlflow 5.1.17"
    assert planned.mlflow["adopted"]["holds"]["runs"] == "6"
    assert objects(NAMESPACE, KINDS) == there


def test_artifacts_are_not_left_behind_unasked(before: dict[str, Any]) -> None:
    assert before
    there = objects(NAMESPACE, KINDS)
    assert "mlflow_adopt_without_artifacts=true" in play("adopt", **INPUTS).failure
    assert objects(NAMESPACE, KINDS) == there


@LONG
def test_a_killed_adoption_is_finished_by_the_next(before: dict[str, Any]) -> None:
    """Once from the volume, because the old pods cannot start, and killed while the old release goes."""
    image = json.dumps(
        [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "gone.invalid/a:17.6"}]
    )
    kubectl("-n", NAMESPACE, "patch", "sts", "old-mlflow-postgresql", "--type=json", "-p", image)
    kubectl("-n", NAMESPACE, "delete", "pod", "old-mlflow-postgresql-0")
    variables = {**INPUTS, "mlflow_adopt_without_artifacts": True}
    victim = subprocess.Popen(
        command("adopt", **variables), cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, start_new_session=True
    )
    until(lambda: "Job/old-mlflow-adopt" in objects(NAMESPACE, "job"))
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    refused = play("mlflow", **INPUTS)
    assert "was installed from another chart" in refused.failure
    second = subprocess.Popen(
        command("adopt", **variables), cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, start_new_session=True
    )
    until(lambda: "StatefulSet/old-mlflow-postgresql" not in objects(NAMESPACE, "sts"))
    os.killpg(second.pid, signal.SIGKILL)
    second.wait()
    done = adopt()
    assert done.returncode == 0, done.failure
    assert done.mlflow["verified"]
    assert done.mlflow["adopted"]["different"] == []
    assert done.mlflow["adopted"]["tables"]["runs"]["new"]["rows"] == 6
    assert read(f"http://old-mlflow-tracking.{NAMESPACE}.svc:5000") == before


@LONG
def test_a_second_adoption_changes_nothing(before: dict[str, Any]) -> None:
    assert before
    again = adopt()
    assert again.returncode == 0, again.failure
    assert again.changed == 0
    assert "PersistentVolumeClaim/old-mlflow-old-database" in objects(NAMESPACE, KINDS)


@LONG
def test_what_was_kept_is_removed_when_the_project_is_named(before: dict[str, Any]) -> None:
    assert before
    removed = adopt(mlflow_remove_old="old")
    assert removed.returncode == 0, removed.failure
    left = objects(NAMESPACE, KINDS)
    assert "PersistentVolumeClaim/old-mlflow-old-database" not in left
    assert "PersistentVolumeClaim/data-old-mlflow-postgresql-0" in left
    assert adopt().changed == 0


def until(check: Any, limit: float = 420) -> None:
    started = time.monotonic()
    while not check():
        assert time.monotonic() - started < limit
        time.sleep(0.3)
