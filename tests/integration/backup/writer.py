"""Write what a team's months leave in MLflow, in small: runs, histories with NaN and infinities, models, artifacts."""

import hashlib
import math
import sys

import mlflow
from mlflow.entities import Metric, Param, RunTag

# No `#`, `?` and `%41`: MLflow's client stores them under another name, wherever the artifacts are.
NAMES = [
    "a+b.txt",
    "100 %.txt",
    ".hidden",
    "ünï cødé 名.txt",
    "a&b=c;d,e.txt",
    "it's (1) [2] {3}~!@$^`.txt",
    "e\u0301 é.txt",
]
client = mlflow.MlflowClient()
name = sys.argv[1]
experiment = client.create_experiment(f"{name}: ünïcode/with 'quotes' \"and\" % spaces", tags={"team": "ß"})
values = [1.5, math.nan, math.inf, -math.inf, 0.1 + 0.2, -0.0, 1e308]
runs = []
for number in range(6):
    run = client.create_run(experiment, run_name=f"run {number}").info.run_id
    metrics = [Metric("loss", value, 1_700_000_000_000 + step, step) for step, value in enumerate(values)]
    metrics += [Metric("metric/with space", float(step), 1_700_000_000_000 + step, step) for step in range(200)]
    client.log_batch(run, metrics, [Param(f"param {number}", "value ' \" \\ é")], [RunTag("tag", "x" * 2000)])
    client.log_text(run, f"text of {number}", "folder/file with space.txt")
    client.log_text(run, "", "empty.txt")
    runs.append(run)
for each in NAMES:
    client.log_text(runs[0], each, f"names/{each}")
listed = sorted(each.path for each in client.list_artifacts(runs[0], "names"))
assert listed == sorted(f"names/{each}" for each in NAMES), listed
client.set_terminated(runs[0])
client.delete_run(runs[5])
large = hashlib.sha256(name.encode()).digest() * 1_200_000  # 38 MB: three parts of a backup
with open("/tmp/large.bin", "wb") as stream:  # noqa: S108, PTH123
    stream.write(large)
client.log_artifact(runs[1], "/tmp/large.bin", "data")  # noqa: S108
model = client.create_registered_model(f"model of {name}", tags={"a": "b"}, description="é")
for run in runs[:2]:
    version = client.create_model_version(model.name, f"runs:/{run}/folder", run_id=run)
client.set_registered_model_alias(model.name, "champion", version.version)
gone = client.create_experiment(f"{name}: deleted")
client.delete_experiment(gone)
print(f"written {experiment}")
