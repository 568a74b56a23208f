"""Write until /tmp/stop exists, with MLflow's client and without any retry, and count what each one sees."""

import collections
import json
import os
import threading
import time
import urllib.error
import urllib.request

import mlflow
from mlflow.entities import Metric

STOP = "/tmp/stop"  # noqa: S108
URI = os.environ["MLFLOW_TRACKING_URI"]
client = mlflow.MlflowClient()
experiment = client.create_experiment(f"written during a rotation {time.time()}")
plain: collections.Counter[str] = collections.Counter()
failures: list[str] = []
written, slowest = 0, 0.0


def ask(path: str, body: object = None) -> str:
    """Send one request on a connection of its own, and return its status or what went wrong."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{URI}{path}", data, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return str(answer.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except OSError as error:
        return type(getattr(error, "reason", error)).__name__


def without_retry() -> None:
    """Ask what needs the database, and what needs the key of webhooks."""
    run = client.create_run(experiment).info.run_id
    body = {"run_id": run, "key": "plain", "value": 1.0, "timestamp": 1}
    while not os.path.exists(STOP):  # noqa: PTH110
        plain[f"log-metric {ask('/api/2.0/mlflow/runs/log-metric', body)}"] += 1
        plain[f"webhooks {ask('/api/2.0/mlflow/webhooks')}"] += 1
        time.sleep(0.1)


run = client.create_run(experiment).info.run_id
thread = threading.Thread(target=without_retry)
thread.start()
while not os.path.exists(STOP):  # noqa: PTH110
    began = time.monotonic()
    try:
        client.log_batch(run, metrics=[Metric("step", float(written), 1_700_000_000_000 + written, written)])
        client.log_text(run, "x", f"texts/{written % 20}.txt")
        written += 1
    except Exception as error:
        failures.append(f"{type(error).__name__}: {str(error)[:300]}")
    slowest = max(slowest, time.monotonic() - began)
thread.join()
found = len(client.get_metric_history(run, "step"))
result = {"written": written, "found": found, "failures": failures, "slowest": round(slowest, 1), "plain": plain}
print("WROTE " + json.dumps(result))
