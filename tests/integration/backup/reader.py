"""Read everything that MLflow's API and its artifact store give, as one line of JSON to compare servers by."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import mlflow
from mlflow.entities import ViewType

client = mlflow.MlflowClient()


def files(run: str, folder: str | None = None) -> Iterator[tuple[str, str]]:
    for each in client.list_artifacts(run, folder):
        if each.is_dir:
            yield from files(run, each.path)
        else:
            local = mlflow.artifacts.download_artifacts(run_id=run, artifact_path=each.path, dst_path="/tmp/read")  # noqa: S108
            with open(local, "rb") as stream:  # noqa: PTH123
                yield each.path, hashlib.file_digest(stream, "sha256").hexdigest()


found: dict[str, dict[str, Any]] = {"experiments": {}, "runs": {}, "models": {}}
for experiment in client.search_experiments(ViewType.ALL):
    if experiment.name.startswith("nebari-mlflow-verify"):
        continue  # of the smoke test, which every deploy and every restore ends with
    found["experiments"][experiment.experiment_id] = [
        experiment.name,
        experiment.lifecycle_stage,
        experiment.artifact_location,
        sorted(experiment.tags.items()),
    ]
    for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL, max_results=1000):
        identity = run.info.run_id
        history = {
            key: [(repr(m.value), m.timestamp, m.step) for m in client.get_metric_history(identity, key)]
            for key in run.data.metrics
        }
        found["runs"][identity] = {
            "info": [run.info.run_name, run.info.status, run.info.lifecycle_stage, run.info.start_time],
            "params": sorted(run.data.params.items()),
            "tags": sorted(run.data.tags.items()),
            "metrics": sorted(history.items()),
            "artifacts": sorted(files(identity)),
        }
for model in client.search_registered_models():
    if model.name.startswith("nebari-mlflow-verify"):
        continue
    versions = client.search_model_versions(f"name = '{model.name}'")
    found["models"][model.name] = [
        model.description,
        sorted(model.tags.items()),
        sorted(model.aliases.items()),
        sorted((v.version, v.source, v.run_id, v.status) for v in versions),
    ]
print("FOUND " + json.dumps(found, sort_keys=True))
