"""Use MLflow as a notebook would, through its Service: a run, an artifact, a model version, each read back.

Standard library and REST only: importing MLflow's client takes longer than all of this.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

NAME = "nebari-mlflow-verify"
"""Of the experiment and of the registered model."""

PROGRESS_SECONDS = 10.0


class StepError(Exception):
    """One line: the step, and what the server answered. `status` is 0 when it did not answer."""

    def __init__(self, step: str, cause: str, status: int = 0) -> None:
        super().__init__(f"{step}: {cause}")
        self.status = status


class Server:
    """MLflow's REST interface."""

    def __init__(self, uri: str, timeout: float = 30.0) -> None:
        self.uri = uri.rstrip("/")
        self.timeout = timeout

    def send(self, step: str, method: str, path: str, body: bytes | None = None, kind: str = "") -> bytes:
        request = urllib.request.Request(f"{self.uri}{path}", data=body, method=method)  # noqa: S310
        if kind:
            request.add_header("Content-Type", kind)
        if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:  # noqa: S310
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            text = error.read().decode("utf-8", "replace").strip()
            raise StepError(step, f"{error.code} {error.reason}: {_message(text)}", error.code) from None
        except (OSError, ValueError) as error:
            cause = getattr(error, "reason", error)
            raise StepError(step, f"no answer from {self.uri}: {cause}") from None

    def call(self, step: str, method: str, endpoint: str, /, **fields: Any) -> dict[str, Any]:
        path, body = f"/api/2.0/mlflow/{endpoint}", None
        if method == "GET":
            path = f"{path}?{urllib.parse.urlencode(fields)}"
        else:
            body = json.dumps(fields).encode()
        answer: dict[str, Any] = json.loads(self.send(step, method, path, body, "application/json") or b"{}")
        return answer


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"]).splitlines()[0]
    except (ValueError, KeyError, TypeError, IndexError):
        return text.splitlines()[0][:300] if text else "no message"


def retry(action: Callable[[], bytes], limit: float, what: str) -> bytes:
    """Repeat until it works: a pod, a volume or a cloud's permission may need minutes to arrive."""
    started, told = time.monotonic(), -PROGRESS_SECONDS
    while True:
        try:
            return action()
        except StepError as error:
            elapsed = time.monotonic() - started
            if elapsed >= limit:
                raise
            if elapsed - told >= PROGRESS_SECONDS:
                print(f"waiting for {what} ({elapsed:.0f} s of {limit:.0f} s): {error}", flush=True)
                told = elapsed
        time.sleep(1)


def find_experiment(server: Server) -> str:
    """Find the experiment, or create it, or take it back from the trash."""
    try:
        found = server.call("find experiment", "GET", "experiments/get-by-name", experiment_name=NAME)
    except StepError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return str(server.call("create experiment", "POST", "experiments/create", name=NAME)["experiment_id"])
    experiment: dict[str, Any] = found["experiment"]
    if experiment.get("lifecycle_stage") == "deleted":
        server.call("restore experiment", "POST", "experiments/restore", experiment_id=experiment["experiment_id"])
    return str(experiment["experiment_id"])


def log_run(server: Server, run_id: str) -> None:
    now = int(time.time() * 1000)
    metric = {"key": "answer", "value": 42.0, "timestamp": now, "step": 0}
    param = {"key": "question", "value": "does it work"}
    server.call("log metric and parameter", "POST", "runs/log-batch", run_id=run_id, metrics=[metric], params=[param])
    server.call("finish run", "POST", "runs/update", run_id=run_id, status="FINISHED", end_time=now)
    run = server.call("read run", "GET", "runs/get", run_id=run_id)["run"]
    read = (run["info"]["status"], run["data"]["metrics"][0]["value"], run["data"]["params"][0]["value"])
    if read != ("FINISHED", metric["value"], param["value"]):
        raise StepError("read run", f"{read} came back instead of what was logged")


def artifact_path(artifact_uri: str) -> str:
    """Return the path of an artifact URI behind the server; clients must never need the store's own address."""
    parsed = urllib.parse.urlparse(artifact_uri)
    if parsed.scheme != "mlflow-artifacts":
        raise StepError("artifact", f"{artifact_uri} is not behind the server (mlflow-artifacts:/)")
    return f"/api/2.0/mlflow-artifacts/artifacts{parsed.path}"


def log_artifact(server: Server, artifact_uri: str, limit: float) -> None:
    content = os.urandom(64 * 1024)
    path = f"{artifact_path(artifact_uri)}/verify.bin"
    kind = "application/octet-stream"
    retry(lambda: server.send("upload artifact", "PUT", path, content, kind), limit, "the artifact store")
    if server.send("download artifact", "GET", path) != content:
        raise StepError("download artifact", "other bytes came back than were uploaded")


def register_model(server: Server, run_id: str, artifact_uri: str) -> str:
    try:
        server.call("create registered model", "POST", "registered-models/create", name=NAME)
    except StepError as error:
        if "RESOURCE_ALREADY_EXISTS" not in str(error) and "already exists" not in str(error):
            raise
    fields = {"name": NAME, "source": artifact_uri, "run_id": run_id}
    made = server.call("create model version", "POST", "model-versions/create", **fields)["model_version"]
    version = str(made["version"])
    read = server.call("read model version", "GET", "model-versions/get", name=NAME, version=version)["model_version"]
    if (read["status"], read["run_id"]) != ("READY", run_id):
        raise StepError("read model version", f"version {version} is {read['status']}, of run {read['run_id']}")
    return version


def clean_up(server: Server, run_id: str, artifact_uri: str) -> None:
    """Remove what was made. The run's row stays, marked deleted, until `mlflow gc`: REST offers no more."""
    folder = artifact_path(artifact_uri).removesuffix("/artifacts")
    server.call("delete registered model", "DELETE", "registered-models/delete", name=NAME)
    server.send("delete artifact", "DELETE", folder)
    server.call("delete run", "POST", "runs/delete", run_id=run_id)


def verify(server: Server, limit: float) -> dict[str, str]:
    """Do it all; the result names what was made."""
    started = time.monotonic()
    ready = "/api/2.0/mlflow/experiments/search?max_results=1"
    retry(lambda: server.send("read experiments", "GET", ready), limit, "the server")
    experiment_id = find_experiment(server)
    now = int(time.time() * 1000)
    run = server.call("create run", "POST", "runs/create", experiment_id=experiment_id, run_name=NAME, start_time=now)
    run_id, artifact_uri = str(run["run"]["info"]["run_id"]), str(run["run"]["info"]["artifact_uri"])
    log_run(server, run_id)
    log_artifact(server, artifact_uri, max(limit - (time.monotonic() - started), 0.0))
    version = register_model(server, run_id, artifact_uri)
    clean_up(server, run_id, artifact_uri)
    return {"run_id": run_id, "artifact_uri": artifact_uri, "model": NAME, "model_version": version}


def main() -> int:
    server = Server(os.environ["MLFLOW_TRACKING_URI"])
    started = time.monotonic()
    try:
        result = verify(server, float(os.environ.get("TIMEOUT_SECONDS", "240")))
    except StepError as error:
        print(f"ERROR: {error}", flush=True)
        return 1
    print(json.dumps({**result, "seconds": round(time.monotonic() - started, 1)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
