"""Runs in a pod of the cluster: artifacts of one size, uploaded and downloaded through the server and past it, in turn.

Prints JSON: for each direction, pairs of MB/s, through the server and to the store. Both by MLflow's own client.
"""

import json
import os
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

MEGABYTES, PAIRS, STORE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
FILES = max(1, 20 // MEGABYTES)  # small ones are over before a clock tells
BLOCK = os.urandom(1_000_000)
Work = Callable[[], object]


def rate(work: Work) -> float:
    began = time.monotonic()
    work()
    return FILES * MEGABYTES / (time.monotonic() - began)


def wait() -> None:
    """A new pod is let in only when the network policies know its address."""
    for address in (os.environ["MLFLOW_TRACKING_URI"] + "/health", os.environ["MLFLOW_S3_ENDPOINT_URL"] + "/health"):
        for _ in range(60):
            try:
                urllib.request.urlopen(address, timeout=5).read()
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(1)


def measure(repository: Any, source: Path) -> tuple[float, float]:
    """Return the MB/s of an upload and of the download of the same."""
    names = [file.name for file in sorted(source.iterdir())]
    up = rate(lambda: [repository.log_artifact(str(source / name), "files") for name in names])
    with tempfile.TemporaryDirectory() as target:
        down = rate(lambda: [repository.download_artifacts(f"files/{name}", target) for name in names])
        for name in names:
            assert (Path(target) / "files" / name).stat().st_size == MEGABYTES * len(BLOCK)
    return up, down


wait()
folder = Path(tempfile.mkdtemp())
for number in range(FILES):
    with (folder / f"{number}.bin").open("wb") as file:
        for _ in range(MEGABYTES):
            file.write(BLOCK)
pairs = []
for number in range(PAIRS + 1):  # the first is to get warm
    name = f"{MEGABYTES}-{number}"
    ways = [MlflowArtifactsRepository(f"mlflow-artifacts:/{name}"), S3ArtifactRepository(f"{STORE}/past-{name}")]
    measured = [measure(way, folder) for way in (ways if number % 2 else reversed(ways))]
    pairs.append(measured if number % 2 else measured[::-1])
shutil.rmtree(folder)
warm = pairs[1:]
print(
    json.dumps({way: [(mine[i], theirs[i]) for mine, theirs in warm] for i, way in enumerate(("upload", "download"))})
)
