"""Runs in a pod of the cluster: clients that log batches of metrics for some seconds, each on a connection of its own.

Prints JSON: batches per second, answers by status, how long the slowest took, and what was acknowledged where.
"""

import base64
import collections
import http.client
import json
import os
import sys
import threading
import time
from typing import Any
from urllib.parse import urlsplit

ADDRESS = urlsplit(os.environ["MLFLOW_TRACKING_URI"]).netloc
CLIENTS, SECONDS = int(sys.argv[1]), float(sys.argv[2])
HEADERS = {"Content-Type": "application/json"}
if user := os.environ.get("MLFLOW_USER"):
    HEADERS["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"


class Client:
    """One user's program. What its connection does not carry counts as `lost`."""

    def __init__(self) -> None:
        self.connection = http.client.HTTPConnection(ADDRESS, timeout=150)
        self.answers: collections.Counter[str] = collections.Counter()
        self.slowest, self.batches, self.run = 0.0, 0, ""

    def call(self, path: str, body: dict[str, Any]) -> Any:
        """Return the answer, or None."""
        began = time.monotonic()
        try:
            self.connection.request("POST", f"/api/2.0/mlflow/{path}", json.dumps(body), HEADERS)
            answer = self.connection.getresponse()
            status, text = answer.status, answer.read()
            again = float(answer.getheader("Retry-After") or 0)
        except (OSError, http.client.HTTPException):
            self.connection.close()
            status, text, again = 0, b"", 1.0
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.answers[str(status) if status else "lost"] += 1
        time.sleep(again)  # as MLflow's clients do
        return json.loads(text) if status == http.client.OK else None

    def log(self, experiment: str, deadline: float) -> None:
        while not self.run and time.monotonic() < deadline:
            created = self.call("runs/create", {"experiment_id": experiment, "start_time": 0})
            self.run = created["run"]["info"]["run_id"] if created else ""
        while time.monotonic() < deadline:
            metrics = [{"key": f"m{i}", "value": i, "timestamp": 0, "step": self.batches} for i in range(10)]
            if self.call("runs/log-batch", {"run_id": self.run, "metrics": metrics}) is not None:
                self.batches += 1


def begin() -> str:
    """A new pod is let in only when the network policies know its address."""
    for _ in range(30):
        created = Client().call("experiments/create", {"name": f"bench-{time.time()}"})
        if created:
            return str(created["experiment_id"])
        time.sleep(1)
    raise SystemExit(f"no answer from {ADDRESS}")


experiment = begin()
print("ready", file=sys.stderr, flush=True)
for seconds in (3, SECONDS):  # the first is to get warm
    clients = [Client() for _ in range(CLIENTS)]
    start = time.monotonic()
    threads = [threading.Thread(target=each.log, args=(experiment, start + seconds)) for each in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - start
print(
    json.dumps(
        {
            "rate": sum(each.batches for each in clients) / took,
            "answers": sum((each.answers for each in clients), collections.Counter()),
            "slowest": max(each.slowest for each in clients),
            "batches": {each.run: each.batches for each in clients if each.run},
        }
    )
)
