"""Runs in a pod of the cluster: clients that log batches of metrics for some seconds. Prints batches per second."""

import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any

BASE = os.environ["MLFLOW_TRACKING_URI"]
CLIENTS, SECONDS = int(sys.argv[1]), float(sys.argv[2])
broken: list[OSError] = []


def call(path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{BASE}/api/2.0/mlflow/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def log(experiment: str, counts: list[int], index: int, deadline: float) -> None:
    try:
        run = call("runs/create", {"experiment_id": experiment, "start_time": 0})["run"]["info"]["run_id"]
        while time.monotonic() < deadline:
            metrics = [{"key": f"m{i}", "value": i, "timestamp": 0, "step": counts[index]} for i in range(10)]
            call("runs/log-batch", {"run_id": run, "metrics": metrics})
            counts[index] += 1
    except OSError as error:
        broken.append(error)


def begin() -> str:
    """A new pod is let in only when the network policies know its address."""
    for _ in range(30):
        try:
            return str(call("experiments/create", {"name": f"bench-{time.time()}"})["experiment_id"])
        except urllib.error.URLError:
            time.sleep(1)
    raise SystemExit(f"no answer from {BASE}")


experiment = begin()
for warm in (True, False):
    counts = [0] * CLIENTS
    start = time.monotonic()
    deadline = start + (3 if warm else SECONDS)
    threads = [threading.Thread(target=log, args=(experiment, counts, i, deadline)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise SystemExit(f"{BASE}: {broken[0]}")
print(sum(counts) / (time.monotonic() - start))
