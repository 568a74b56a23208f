"""How long people cannot work while another chart's release is taken over, against pg_dump into pg_restore by hand.

RUNS, POINTS and MEGABYTES (of artifacts) change the size. A client asks every 50 ms; the time is from the old server's
last answer to the new one's first, and has the copy of the artifacts and the comparison of both sides in it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any

from benchmarks import bench_backup, bench_upgrade
from benchmarks.ratio import ROOT, run
from tests.integration.test_adopt import OLD_STORE, OLD_URI
from tests.support import MLFLOW_IMAGE, run_pod, stores

NAMESPACE, OLD = "bench-adopt", "old-mlflow"
MEGABYTES = int(os.environ.get("MEGABYTES", "500"))
DATABASE = f"{OLD}-postgresql"
INPUTS = {
    "mlflow_provider": "local",
    "mlflow_project_name": "old",
    "mlflow_namespace": NAMESPACE,
    "mlflow_kubeconfig": os.environ["KUBECONFIG"],
    "mlflow_overrides": {"tracking": {"workers": 1}},
}
# What the old chart's image would run; the test chart has a pause in its place.
SERVER: dict[str, Any] = {
    "name": "main",
    "image": MLFLOW_IMAGE,
    "command": [
        "sh",
        "-ec",
        "exec mlflow server --host=0.0.0.0 --port=80 --workers=1 --allowed-hosts='*' --backend-store-uri=$STORE_URI"
        " --artifacts-destination=s3://mlflow --serve-artifacts",
    ],
    "args": None,
    "env": [
        {"name": name, "value": value, "valueFrom": None} for name, value in {"STORE_URI": OLD_URI, **OLD_STORE}.items()
    ],
    "readinessProbe": {"httpGet": {"path": "/health", "port": 80}, "periodSeconds": 1},
}
UPLOAD = f"""
import os
import boto3
store = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
store.create_bucket(Bucket="mlflow")
for number in range(100):
    store.put_object(Bucket="mlflow", Key=f"bench/{{number}}.bin", Body=os.urandom({MEGABYTES * 10_000}))
"""
ASK = """
import time, urllib.error, urllib.request
def answers(server):
    try:
        urllib.request.urlopen(server + "/api/2.0/mlflow/experiments/search?max_results=1", timeout=5).read()
    except OSError:
        return False
    return True
old, new = "http://old-mlflow-tracking:80", "http://old-mlflow-tracking:5000"
while not answers(old):
    time.sleep(0.05)
print("ASKING", flush=True)
last = time.monotonic()
while not answers(new):
    time.sleep(0.05)
    if answers(old):
        last = time.monotonic()
print(f"AWAY {time.monotonic() - last:.3f}", flush=True)
"""


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    return run("kubectl", "-n", NAMESPACE, *arguments, stdin=stdin)


def install() -> None:
    """Start an old release with a server, and fill it."""
    values = f"real=true,minio.enabled=true,minio.image={stores()}"
    chart = str(ROOT / "tests/integration/charts/peer")
    run(
        "helm", "install", OLD, chart, "-n", NAMESPACE, "--create-namespace", "--wait", "--timeout=15m", "--set", values
    )
    patch = {"spec": {"template": {"spec": {"containers": [SERVER]}}}}
    kubectl("patch", f"deployment/{OLD}-tracking", "--type=strategic", "-p", json.dumps(patch))
    kubectl("rollout", "status", f"deployment/{OLD}-tracking", "--timeout=10m")
    psql = ("exec", "-i", f"{DATABASE}-0", "-c", "postgresql", "--", "psql", "-h", "/tmp", "-v", "ON_ERROR_STOP=1")  # noqa: S108
    kubectl(*psql, "-q", "-U", "bn_mlflow", "-d", "bitnami_mlflow", stdin=bench_backup.FILL)
    run_pod(NAMESPACE, "upload", UPLOAD, timeout=600, **OLD_STORE)


def by_hand() -> float:
    """Return the seconds of a dump straight into an empty database of the same server, the shortest way there is."""
    began = time.monotonic()
    words = (
        "createdb -h /tmp -U postgres bare && pg_dump -Fc -h /tmp -U postgres bitnami_mlflow"
        " | pg_restore -h /tmp -U postgres --no-owner -d bare && dropdb -h /tmp -U postgres bare"
    )
    kubectl("exec", f"{DATABASE}-0", "-c", "postgresql", "--", "bash", "-eo", "pipefail", "-c", words)
    return time.monotonic() - began


def main() -> None:
    """Print both times."""
    said: list[str] = []
    try:
        install()
        bare = by_hand()
        asking = threading.Thread(target=lambda: said.append(run_pod(NAMESPACE, "asking", ASK, timeout=900)))
        asking.start()
        while "ASKING" not in bench_upgrade.run_or_nothing("kubectl", "-n", NAMESPACE, "logs", "asking"):
            time.sleep(0.5)
        began = time.monotonic()
        run("ansible-playbook", "playbooks/adopt.yml", "-e", json.dumps(INPUTS))
        whole = time.monotonic() - began
        asking.join()
        away = float(said[0].partition("AWAY ")[2])
        print(
            f"taking over {bench_backup.RUNS} runs, {bench_backup.POINTS} points and {MEGABYTES} MB: {away:.0f} s away "
            f"of {whole:.0f} s; pg_dump into pg_restore alone {bare:.0f} s",
            flush=True,
        )
    finally:
        run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


if __name__ == "__main__":
    main()
