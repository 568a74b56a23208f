"""Runs in a pod of the cluster: clients that log batches of metrics for some seconds, each on a connection of its own.

With `search` as the third argument they search 100 runs instead. MLFLOW_TOKENS is a JSON list of the clients' tokens.

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
SEARCH = sys.argv[3:] == ["search"]
TOKENS = json.loads(os.environ.get("MLFLOW_TOKENS") or "[]")
HEADERS = {"Content-Type": "application/json"}
if user := os.environ.get("MLFLOW_USER"):
    HEADERS["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"


class Client:
    """One user's program. What its connection does not carry counts as `lost`."""

    def __init__(self, number: int = 0) -> None:
        self.connection = http.client.HTTPConnection(ADDRESS, timeout=150)
        self.answers: collections.Counter[str] = collections.Counter()
        self.slowest, self.batches, self.run = 0.0, 0, ""
        self.headers = {**HEADERS, **({"Authorization": f"Bearer {TOKENS[number % len(TOKENS)]}"} if TOKENS else {})}

    def call(self, path: str, body: dict[str, Any]) -> Any:
        """Return the answer, or None."""
        began = time.monotonic()
        try:
            self.connection.request("POST", f"/api/2.0/mlflow/{path}", json.dumps(body), self.headers)
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

    def search(self, experiment: str, deadline: float) -> None:
        newest = {"experiment_ids": [experiment], "max_results": 100, "order_by": ["attributes.start_time DESC"]}
        while time.monotonic() < deadline:
            if self.call("runs/search", newest) is not None:
                self.batches += 1

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
        client = Client()
        created = client.call("experiments/create", {"name": f"bench-{time.time()}"})
        if created:
            experiment = str(created["experiment_id"])
            for number in range(100 if SEARCH else 0):
                made = client.call("runs/create", {"experiment_id": experiment, "start_time": number})
                metrics = [{"key": f"m{i}", "value": i, "timestamp": 0} for i in range(10)]
                client.call("runs/log-batch", {"run_id": made["run"]["info"]["run_id"], "metrics": metrics})
            return experiment
        time.sleep(1)
    raise SystemExit(f"no answer from {ADDRESS}")


experiment = begin()
print("ready", file=sys.stderr, flush=True)
for seconds in (3, SECONDS):  # the first is to get warm
    clients = [Client(number) for number in range(CLIENTS)]
    start = time.monotonic()
    work = [each.search if SEARCH else each.log for each in clients]
    threads = [threading.Thread(target=each, args=(experiment, start + seconds)) for each in work]
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
