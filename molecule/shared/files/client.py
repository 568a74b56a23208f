"""Log a run with an artifact and a registered model, or read them back: client.py write | read [MiB]."""

import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

EXPERIMENT = MODEL = os.environ.get("BY_USE", "by-use")
MIB = 1024 * 1024
PATIENCE = 120  # seconds until the server must answer, after its pods were deleted


def content(mebibytes: int) -> bytes:
    """Return bytes that compress badly and are the same each time."""
    block = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(MIB // 32))
    return block * mebibytes


def write(mebibytes: int) -> str:
    """Log everything that a team would miss."""
    mlflow.set_experiment(EXPERIMENT)
    with mlflow.start_run() as run, tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.bin")
        path.write_bytes(content(mebibytes))
        mlflow.log_param("size", mebibytes)
        mlflow.log_metric("accuracy", 0.9)
        mlflow.log_artifact(str(path), "model")
    client = mlflow.MlflowClient()
    client.create_registered_model(MODEL)
    version = client.create_model_version(MODEL, f"runs:/{run.info.run_id}/model", run.info.run_id)
    return f"logged run {run.info.run_id}, {mebibytes} MiB, {MODEL} version {version.version}"


def read() -> str:
    """Read it back, byte for byte."""
    (run,) = mlflow.search_runs(experiment_names=[EXPERIMENT], output_format="list")
    mebibytes = int(run.data.params["size"])
    assert run.data.metrics["accuracy"] == 0.9
    client = mlflow.MlflowClient()
    version = client.get_model_version(MODEL, "1")
    assert version.run_id == run.info.run_id
    with tempfile.TemporaryDirectory() as folder:
        local = mlflow.artifacts.download_artifacts(f"models:/{MODEL}/1", dst_path=folder)
        got = Path(local, "weights.bin").read_bytes()
    assert got == content(mebibytes), f"{len(got)} bytes came back, not what was logged"
    return f"read run {run.info.run_id}, {mebibytes} MiB, {MODEL} version {version.version}"


def until_it_answers() -> None:
    """Wait for the server."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            mlflow.search_experiments(max_results=1)
        except MlflowException:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return


until_it_answers()
print(write(int(sys.argv[2]) if len(sys.argv) > 2 else 1) if sys.argv[1] == "write" else read())
