"""The server as we deploy it against the image's own defaults: 4 workers and job execution on.

Same chart, CPU and memory limits, and database: only the two settings differ. Idle memory is the sum of the
proportional set sizes of the server's processes; the rate is log-batch of 10 metrics by 8 clients in another pod.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from benchmarks.ratio import compare, report, run, say
from tests.support import run_pod

NAMESPACE = "bench-server"
PAIRS = 2
SETTLE = 20  # seconds from ready to idle
# Far more than ours needs, whose limit is 2 GiB: the image's defaults take more than that when idle.
LIMITS = {"resources": {"limits": {"cpu": "2", "memory": "6Gi"}}}
OURS: dict[str, object] = {"tracking": LIMITS}
IMAGE_DEFAULTS: dict[str, object] = {"tracking": {**LIMITS, "workers": 4, "jobExecution": True}}
PSS = """
import glob, re
rollups = (open(path).read() for path in glob.glob("/proc/[0-9]*/smaps_rollup"))
print(sum(int(re.search(r"^Pss: +(\\d+)", rollup, re.M)[1]) for rollup in rollups) / 1024)
"""
INPUTS = {
    "mlflow_provider": "local",
    "mlflow_project_name": "bench",
    "mlflow_namespace": NAMESPACE,
    "mlflow_kubeconfig": os.environ["KUBECONFIG"],
    "mlflow_verify": False,
}
rates: dict[str, list[float]] = {"ours": [], "defaults": []}


def measure(who: str, overrides: dict[str, object]) -> float:
    """Deploy one of the two, note its rate, and return its idle memory in MiB."""
    run("ansible-playbook", "playbooks/mlflow.yml", "-e", json.dumps({**INPUTS, "mlflow_overrides": overrides}))
    time.sleep(SETTLE)
    server = ("kubectl", "exec", "-n", NAMESPACE, "deployment/bench-mlflow-tracking", "--")
    memory = float(run(*server, "python3", "-c", PSS))
    script = Path(__file__).with_name("load.py").read_text()
    uri = f"http://bench-mlflow-tracking.{NAMESPACE}.svc:5000"
    rates[who].append(float(run_pod(NAMESPACE, "load", script, "8", "12", MLFLOW_TRACKING_URI=uri)))
    say(f"  {who}: {memory:.0f} MiB idle, {rates[who][-1]:.1f} batches/s")
    return memory


def main() -> None:
    """Print both ratios."""
    try:
        compare(
            "idle memory, ours / image defaults, MiB",
            lambda: measure("ours", OURS),
            lambda: measure("defaults", IMAGE_DEFAULTS),
            PAIRS,
            "aim at most 0.4",
        )
        pairs = list(zip(rates["ours"], rates["defaults"], strict=True))
        report("log-batch rate, ours / image defaults, 1/s", pairs, "aim at least 3")
    finally:
        run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


if __name__ == "__main__":
    main()
