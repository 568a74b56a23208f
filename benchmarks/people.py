"""Runs in a pod of the cluster: people who log, search, open the UI, upload and download, each with pauses.

Prints JSON: answers by status and kind, and how long the slowest of each kind and 95 of 100 took. MLFLOW_TOKENS is a
JSON list of the people's tokens.
"""

import collections
import http.client
import json
import os
import random
import sys
import threading
import time
from typing import Any
from urllib.parse import urlsplit

ADDRESS = urlsplit(os.environ["MLFLOW_TRACKING_URI"]).netloc
PEOPLE, SECONDS = int(sys.argv[1]), float(sys.argv[2])
UPLOADS = len(sys.argv) > 3
TOKENS = json.loads(os.environ.get("MLFLOW_TOKENS") or "[]")
API = "/api/2.0/mlflow"
PAYLOAD = os.urandom(1 << 20)


class Person:
    """Works as people do: more reading than writing, and a pause after each."""

    def __init__(self, number: int = 0) -> None:
        self.connection = http.client.HTTPConnection(ADDRESS, timeout=150)
        self.headers = {"Authorization": f"Bearer {TOKENS[number % len(TOKENS)]}"} if TOKENS else {}
        self.answers: collections.Counter[str] = collections.Counter()
        self.took: dict[str, list[float]] = collections.defaultdict(list)
        self.run, self.step = "", 0

    def ask(self, kind: str, method: str, path: str, body: bytes | None = None) -> bytes:
        began = time.monotonic()
        try:
            kinds = {"Content-Type": "application/json"} if body else {}
            self.connection.request(method, path, body, {**self.headers, **kinds})
            answer = self.connection.getresponse()
            status, text = str(answer.status), answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            status, text = "lost", b""
        self.took[kind].append(time.monotonic() - began)
        self.answers[f"{kind} {status}"] += 1
        return text if status == "200" else b""

    def call(self, kind: str, path: str, body: dict[str, Any]) -> Any:
        return json.loads(self.ask(kind, "POST", f"{API}/{path}", json.dumps(body).encode()) or "null")

    def work(self, experiment: str, deadline: float) -> None:
        dice = random.Random()  # noqa: S311
        time.sleep(dice.uniform(0, 2))
        newest = {"experiment_ids": [experiment], "max_results": 100, "order_by": ["attributes.start_time DESC"]}
        while time.monotonic() < deadline:
            if not self.run:
                created = self.call("log", "runs/create", {"experiment_id": experiment, "start_time": 0})
                self.run = created["run"]["info"]["run_id"] if created else ""
            elif (what := dice.random()) < 0.45:
                metrics = [{"key": f"m{i}", "value": i, "timestamp": 0, "step": self.step} for i in range(10)]
                self.call("log", "runs/log-batch", {"run_id": self.run, "metrics": metrics})
                self.step += 1
            elif what < 0.75:
                self.call("search", "runs/search", newest)
            elif what < 0.9 or not UPLOADS:
                self.ask("open", "GET", "/")
                self.ask("open", "GET", f"{API}/runs/get?run_id={self.run}")
                self.ask("open", "GET", f"{API}/metrics/get-history?run_id={self.run}&metric_key=m1")
            else:
                path = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{self.run}/artifacts/{self.step}.bin"
                self.ask("upload", "PUT", path, PAYLOAD)
                self.ask("download", "GET", path)
            time.sleep(dice.uniform(0.5, 1.5))


first = Person()
for _ in range(30):
    made = first.call("begin", "experiments/create", {"name": f"people-{time.time()}"})
    if made:
        break
    time.sleep(1)
people = [Person(number) for number in range(PEOPLE)]
end = time.monotonic() + SECONDS
threads = [threading.Thread(target=each.work, args=(made["experiment_id"], end)) for each in people]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
took = {
    kind: sorted(t for each in people for t in each.took[kind]) for kind in {k for each in people for k in each.took}
}
print(
    json.dumps(
        {
            "answers": sum((each.answers for each in people), collections.Counter()),
            "slowest": {kind: times[-1] for kind, times in sorted(took.items())},
            "p95": {kind: times[int(len(times) * 0.95)] for kind, times in sorted(took.items())},
        }
    )
)
