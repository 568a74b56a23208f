"""Artifacts of 1 MB, 100 MB and 2 GB through the server beside the same to its store, and the server's memory then.

The store is an S3 server that keeps objects as files (`make extras`, or NEBARI_MLFLOW_S3_IMAGE). SIZES (in MB) and
PAIRS change what is measured. Client, server and store share the machine, so this measures what the way through the
server costs in CPU and in waiting, and nothing of a network.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

from benchmarks.ratio import ROOT, report, run, say
from tests.support import run_pod

NAMESPACE, RELEASE = "bench-artifacts", "bench-mlflow"
SIZES = [int(each) for each in os.environ.get("SIZES", "1,100,2000").split(",")]
PAIRS = int(os.environ.get("PAIRS", "3"))
STORE = f"http://s3.{NAMESPACE}.svc:7070"
KEYS: dict[str, Any] = {"AWS_ACCESS_KEY_ID": "benchmark", "AWS_SECRET_ACCESS_KEY": "of-the-benchmark"}
PLACE: dict[str, Any] = {"AWS_REGION": "us-east-1", "MLFLOW_S3_ENDPOINT_URL": STORE}
INPUTS = {
    "mlflow_provider": "existing",
    "mlflow_storage": {"uri": "s3://mlflow", "secret": "s3", "env": PLACE},
    "mlflow_project_name": "bench",
    "mlflow_namespace": NAMESPACE,
    "mlflow_kubeconfig": os.environ["KUBECONFIG"],
    "mlflow_verify": False,
}
# Memory of processes alone: files that the kernel keeps at hand are no need of theirs.
WATCH = """
while :; do
  grep -hE '^(anon|rss) ' /sys/fs/cgroup/memory.stat /sys/fs/cgroup/memory/memory.stat 2>/dev/null
  sleep 0.2
done
"""
TRACKING = f"deployment/{RELEASE}-tracking"


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    return run("kubectl", "-n", NAMESPACE, *arguments, stdin=stdin)


def image() -> str:
    """Return the image of the store."""
    made = ROOT / ".cluster/s3"
    found = os.environ.get("NEBARI_MLFLOW_S3_IMAGE") or (made.read_text().strip() if made.exists() else "")
    if not found:
        say("Skipped: no image of an S3 store. Run `make extras`, or set NEBARI_MLFLOW_S3_IMAGE.")
        raise SystemExit(0)
    return found


def store() -> list[dict[str, Any]]:
    """Return the store's objects, with its bucket."""
    ours = {"app": "s3"}
    data = [{"name": "data", "mountPath": "/data"}]
    gateway = {
        "name": "s3",
        "image": image(),
        "args": ["--port", ":7070", "posix", "--sidecar", "/data/attributes", "/data/buckets"],
        "env": [
            {"name": "ROOT_ACCESS_KEY", "value": KEYS["AWS_ACCESS_KEY_ID"]},
            {"name": "ROOT_SECRET_KEY", "value": KEYS["AWS_SECRET_ACCESS_KEY"]},
        ],
        "readinessProbe": {"tcpSocket": {"port": 7070}, "periodSeconds": 1},
        "volumeMounts": data,
    }
    folders = "import os; [os.makedirs('/data/' + each) for each in ('buckets/mlflow', 'attributes')]"
    python = "ghcr.io/mlflow/mlflow:v3.17.2-full"
    first = {"name": "bucket", "image": python, "command": ["python3", "-c", folders], "volumeMounts": data}
    spec = {
        "terminationGracePeriodSeconds": 0,
        "initContainers": [first],
        "containers": [gateway],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3"}, "stringData": KEYS},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "s3", "labels": ours}, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "s3"},
            "spec": {"selector": ours, "ports": [{"port": 7070}]},
        },
    ]


class Watch:
    """Notes the most memory that the server's processes have, in MiB."""

    def __init__(self) -> None:
        command = ["kubectl", "-n", NAMESPACE, "exec", TRACKING, "-c", "tracking", "--", "sh", "-c", WATCH]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.found: list[int] = []
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.found.append(int(line.split()[1]) >> 20)

    def end(self) -> tuple[int, int]:
        """Return the memory at the beginning, and the most."""
        self.process.terminate()
        self.thread.join()
        return self.found[0], max(self.found)


def main() -> None:
    """Print the ratios of each size, and the memory."""
    script = Path(__file__).with_name("transfers.py").read_text()
    uri = f"http://{RELEASE}-tracking.{NAMESPACE}.svc:5000"
    items = store()
    try:
        run("kubectl", "create", "namespace", NAMESPACE)
        kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        kubectl("wait", "pod/s3", "--for=condition=Ready", "--timeout=2m")
        run("ansible-playbook", "playbooks/mlflow.yml", "-e", json.dumps(INPUTS))
        for size in SIZES:
            watch = Watch()
            try:
                arguments = (str(size), str(PAIRS), "s3://mlflow")
                said = run_pod(
                    NAMESPACE, "client", script, *arguments, timeout=1800, MLFLOW_TRACKING_URI=uri, **PLACE, **KEYS
                )
            finally:
                before, most = watch.end()
            for way, pairs in json.loads(said.splitlines()[-1]).items():
                report(f"{way} of {size} MB, server / store, MB/s", pairs, "aim at least 0.8")
            print(f"the server's memory with {size} MB: {before} MiB before, {most} MiB at most", flush=True)
            say(f"  {size} MB done")
    finally:
        run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


if __name__ == "__main__":
    main()
