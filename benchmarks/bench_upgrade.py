"""How long the server is away while the database is upgraded, against stop, bare `mlflow db upgrade`, start.

RUNS and POINTS change the size. A client asks every 50 ms; the time is from the old version's last answer to the new
one's first. Ours can be taken back, and includes the backup.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import bench_backup
from benchmarks.ratio import report, run, say
from tests.integration import old_mlflow
from tests.support import MLFLOW_IMAGE, run_pod

OLD = "3.16.0"
RELEASE = "bench-mlflow"
OURS, BARE = "bench-upgrade", "bench-by-hand"
PAIRS = int(os.environ.get("PAIRS", "2"))
TRACKING = f"deployment/{RELEASE}-tracking"
ASK = """
import os, time, urllib.error, urllib.request
server = os.environ["MLFLOW_TRACKING_URI"]
def version():
    try:
        urllib.request.urlopen(server + "/api/2.0/mlflow/experiments/search?max_results=1", timeout=5).read()
        return urllib.request.urlopen(server + "/version", timeout=5).read().decode()
    except OSError:
        return ""
while not (old := version()):
    time.sleep(0.05)
print("ASKING", flush=True)
found = old
while found in ("", old):
    if found:
        last = time.monotonic()
    time.sleep(0.05)
    found = version()
print(f"AWAY {time.monotonic() - last:.3f}", flush=True)
"""
MIGRATE = """
import sys
sys.path.insert(0, "/mlflow/scripts")
from migrate import upgrade
from mlflow_schema import Clock, connect
upgrade(connect(Clock(600)).parameters)  # `mlflow db upgrade`, whose password stands in a file
"""


def deploy(namespace: str, tag: str = "") -> None:
    inputs = {
        "mlflow_provider": "local",
        "mlflow_project_name": "bench",
        "mlflow_namespace": namespace,
        "mlflow_kubeconfig": os.environ["KUBECONFIG"],
        "mlflow_verify": False,
        "mlflow_overrides": {"tracking": {"workers": 1}, **({"image": {"tag": tag}} if tag else {})},
    }
    run("ansible-playbook", "playbooks/mlflow.yml", "-e", json.dumps(inputs))


def kubectl(namespace: str, *arguments: str, stdin: str | None = None) -> str:
    return run("kubectl", "-n", namespace, *arguments, stdin=stdin)


@contextmanager
def filled(namespace: str) -> Iterator[None]:
    """An older MLflow with data in its database."""
    try:
        deploy(namespace, old_mlflow.tag(OLD))
        psql = ("exec", "-i", f"{RELEASE}-postgresql-0", "-c", "postgresql", "--", "psql", "-v", "ON_ERROR_STOP=1")
        kubectl(namespace, *psql, "-q", "-U", "postgres", "-d", "mlflow", stdin=bench_backup.FILL)
        yield
    finally:
        run("kubectl", "delete", "namespace", namespace, "--ignore-not-found", "--wait")


def away(namespace: str, upgrade: Callable[[], None]) -> float:
    """Return the seconds in which a client got no answer."""
    said: list[str] = []

    def ask() -> None:
        uri = f"http://{RELEASE}-tracking.{namespace}.svc:5000"
        said.append(run_pod(namespace, "asking", ASK, timeout=900, MLFLOW_TRACKING_URI=uri))

    asking = threading.Thread(target=ask)
    asking.start()
    while "ASKING" not in run_or_nothing("kubectl", "-n", namespace, "logs", "asking"):
        time.sleep(0.5)
    upgrade()
    asking.join()
    return float(said[0].partition("AWAY ")[2])


def run_or_nothing(*command: str) -> str:
    try:
        return run(*command)
    except SystemExit:
        return ""


def by_hand(namespace: str) -> None:
    """Stop the server, migrate, and start the new version, as its documentation says."""
    kubectl(namespace, "scale", TRACKING, "--replicas=0")
    pods = "app.kubernetes.io/component=tracking"
    kubectl(namespace, "wait", "pod", "-l", pods, "--for=delete", "--timeout=2m")
    (job,) = json.loads(kubectl(namespace, "get", "job", "-l", "app.kubernetes.io/component=migrate", "-o", "json"))[
        "items"
    ]
    template: dict[str, Any] = job["spec"]["template"]
    template["metadata"]["labels"] = {
        name: value
        for name, value in template["metadata"]["labels"].items()
        if "job-name" not in name and "uid" not in name
    }
    template["spec"]["containers"][0] |= {"image": MLFLOW_IMAGE, "command": ["python3", "-c", MIGRATE]}
    spec = {"template": template, "backoffLimit": 0}
    whole = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "by-hand"}, "spec": spec}
    kubectl(namespace, "apply", "-f", "-", stdin=json.dumps(whole))
    kubectl(namespace, "wait", "job/by-hand", "--for=condition=Complete", "--timeout=10m")
    kubectl(namespace, "set", "image", TRACKING, f"tracking={MLFLOW_IMAGE}", f"wait-for-schema={MLFLOW_IMAGE}")
    kubectl(namespace, "scale", TRACKING, "--replicas=1")
    kubectl(namespace, "rollout", "status", TRACKING, "--timeout=10m")


def main() -> None:
    """Print the ratio of the two."""
    old_mlflow.image(OLD)
    figures: list[tuple[float, float]] = []
    for number in range(1, PAIRS + 1):
        with filled(OURS):
            mine = away(OURS, lambda: deploy(OURS))
        with filled(BARE):
            figures.append((mine, away(BARE, lambda: by_hand(BARE))))
        say(f"  pair {number} of {PAIRS}: {figures[-1][0]:.1f} against {figures[-1][1]:.1f}")
    report("an upgrade's downtime, s, ours / stop, mlflow db upgrade, start", figures, "aim at most 1.3")


if __name__ == "__main__":
    main()
