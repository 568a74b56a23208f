"""Runs in a pod of the cluster: MLflow's server with its own buffers and with larger ones, on a volume, in turn.

Prints JSON: for each variant and direction, pairs of MB/s, with it and without.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

MEGABYTES, PAIRS = int(sys.argv[1]), int(sys.argv[2])
VARIANTS = {
    "none": "",
    # Blocks of a MiB between the connection and the file, in both directions.
    "blocks": """
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from starlette.responses import FileResponse

FileResponse.chunk_size = 1 << 20
write = LocalArtifactRepository.log_artifact_from_async_stream

async def gathered(chunks):
    found, length = [], 0
    async for chunk in chunks:
        found.append(chunk)
        length += len(chunk)
        if length >= 1 << 20:
            yield b"".join(found)
            found, length = [], 0
    yield b"".join(found)

async def log(self, chunks, *arguments, **named):
    await write(self, gathered(chunks), *arguments, **named)

LocalArtifactRepository.log_artifact_from_async_stream = log
""",
    # What uvicorn holds of a body before it stops to read.
    "reads": """
import uvicorn.protocols.http.h11_impl
uvicorn.protocols.http.h11_impl.HIGH_WATER_LIMIT = 1 << 20
""",
}
SERVE = """
import sys, uvicorn
from mlflow.server.fastapi_app import app
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
"""


def serve(number: int, variant: str) -> HttpArtifactRepository:
    place = tempfile.mkdtemp()
    env = {
        **os.environ,
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{place}/db",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": place,
    }
    subprocess.Popen([sys.executable, "-c", VARIANTS[variant] + SERVE, str(5000 + number)], env=env)
    address = f"http://127.0.0.1:{5000 + number}"
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1).read()
            break
        except OSError:
            time.sleep(1)
    return HttpArtifactRepository(f"{address}/api/2.0/mlflow-artifacts/artifacts/run")


def measure(repository: HttpArtifactRepository, file: Path) -> tuple[float, float]:
    began = time.monotonic()
    repository.log_artifact(str(file))
    up = time.monotonic()
    with tempfile.TemporaryDirectory() as target:
        repository.download_artifacts(file.name, target)
        return MEGABYTES / (up - began), MEGABYTES / (time.monotonic() - up)


servers = {variant: serve(number, variant) for number, variant in enumerate(VARIANTS)}
file = Path(tempfile.mkdtemp()) / "file.bin"
file.write_bytes(os.urandom(1_000_000) * MEGABYTES)
found = []
for number in range(PAIRS + 1):
    order = list(servers) if number % 2 else list(servers)[::-1]
    found.append({variant: measure(servers[variant], file) for variant in order})
ratios = {
    f"{variant}, {way}": [(each[variant][i], each["none"][i]) for each in found[1:]]
    for variant in list(VARIANTS)[1:]
    for i, way in enumerate(("upload", "download"))
}
print(json.dumps(ratios), flush=True)
os._exit(0)  # with the servers
