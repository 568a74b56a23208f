"""Runs in a pod of the cluster: clients that log batches of metrics for some seconds. Prints batches per second."""

import json
import os
import sys
import threading
import time
import urllib.request
from typing import Any

BASE = os.environ["MLFLOW_TRACKING_URI"]
CLIENTS, SECONDS = int(sys.argv[1]), float(sys.argv[2])


def call(path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{BASE}/api/2.0/mlflow/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def log(experiment: str, counts: list[int], index: int, deadline: float) -> None:
    run = call("runs/create", {"experiment_id": experiment, "start_time": 0})["run"]["info"]["run_id"]
    while time.monotonic() < deadline:
        metrics = [{"key": f"m{i}", "value": i, "timestamp": 0, "step": counts[index]} for i in range(10)]
        call("runs/log-batch", {"run_id": run, "metrics": metrics})
        counts[index] += 1


experiment = call("experiments/create", {"name": f"bench-{time.time()}"})["experiment_id"]
for warm in (True, False):
    counts = [0] * CLIENTS
    start = time.monotonic()
    deadline = start + (3 if warm else SECONDS)
    threads = [threading.Thread(target=log, args=(experiment, counts, i, deadline)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print(sum(counts) / (time.monotonic() - start))
