"""The server as we deploy it, beside what the image and two other charts start, at 1 to 200 clients.

One database, image, CPU and memory: only the server's command differs. `image` is `mlflow server` as it is: 4 workers,
pools of 5 and 10, job execution on; the chart of community-charts starts exactly that, with the log level as an option.
`bitnami` is the same with MLflow's basic-auth, which that chart switches on. Idle memory is the sum of the proportional
set sizes; cold start is from the pod's start until it is ready. The figures of a run compare; those of two runs do not.
"""

from __future__ import annotations

import copy
import json
import os
import time
from pathlib import Path
from typing import Any

from benchmarks.ratio import report, run, say
from tests.support import run_pod

NAMESPACE, RELEASE = "bench-server", "bench-mlflow"
PAIRS = int(os.environ.get("PAIRS", "1"))
CLIENTS = [int(each) for each in os.environ.get("CLIENTS", "1,8,40,100,200").split(",")]
SECONDS = os.environ.get("SECONDS_EACH", "20")
SETTLE = 20  # seconds from ready to idle
# Far more than ours needs, whose limit is 2 GiB: the image's defaults take more than that when idle.
VALUES = {"tracking": {"resources": {"limits": {"cpu": "2", "memory": "6Gi"}}}, "postgresql": {"maxConnections": 200}}
IMAGE = ["--host=0.0.0.0", "--port=5000", "--serve-artifacts", "--artifacts-destination=/mlflow/artifacts"]
OTHERS = {
    "image": IMAGE,
    "community-charts": [*IMAGE, "--uvicorn-opts=--log-level=info"],
    "bitnami": [*IMAGE, "--app-name=basic-auth"],
}
AGAINST = os.environ.get("AGAINST", ",".join(OTHERS)).split(",")
OF_OURS = ("MLFLOW_SQLALCHEMYSTORE", "MLFLOW_SERVER_ENABLE_JOB", "UVICORN", "NEBARI", "PYTHONPATH")
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
    "mlflow_overrides": VALUES,
}
USER = "admin:password1234-of-the-benchmark"
Figures = dict[Any, Any]


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    return run("kubectl", "-n", NAMESPACE, *arguments, stdin=stdin)


def variant(ours: dict[str, Any], who: str) -> dict[str, Any]:
    """Return our Deployment with another one's command, and without the settings that are ours."""
    other = copy.deepcopy(ours)
    other["metadata"] = {"name": f"bench-{who}", "namespace": NAMESPACE}
    other.pop("status", None)
    spec = other["spec"]["template"]["spec"]["containers"][0]
    spec["args"] = OTHERS[who]
    spec["env"] = [each for each in spec["env"] if not each["name"].startswith(OF_OURS)]
    if who == "bitnami":
        spec["workingDir"] = "/tmp"  # noqa: S108 (in a pod; basic-auth keeps its users in a file there)
        spec["env"] += [
            {"name": "MLFLOW_AUTH_ADMIN_USERNAME", "value": USER.split(":")[0]},
            {"name": "MLFLOW_AUTH_ADMIN_PASSWORD", "value": USER.split(":")[1]},
        ]
    spec["readinessProbe"]["httpGet"] = {"path": "/health", "port": "http"}
    spec.pop("lifecycle", None)
    for labels in (other["spec"]["selector"]["matchLabels"], other["spec"]["template"]["metadata"]["labels"]):
        labels["bench"] = who
    other["spec"]["replicas"] = 0
    return other


def measure(who: str) -> Figures:
    """Start one, alone; return its cold start, memory, and for each number of clients rate, errors and the slowest."""
    deployment = f"deployment/{RELEASE}-tracking" if who == "ours" else f"deployment/bench-{who}"
    began = time.monotonic()
    kubectl("scale", deployment, "--replicas=1")
    kubectl("rollout", "status", deployment, "--timeout=10m")
    figures: Figures = {"start": time.monotonic() - began}
    time.sleep(SETTLE)
    figures["idle"] = float(kubectl("exec", deployment, "-c", "tracking", "--", "python3", "-c", PSS))
    script = Path(__file__).with_name("load.py").read_text()
    uri = f"http://{RELEASE}-tracking.{NAMESPACE}.svc:5000"
    user = USER if who == "bitnami" else ""
    for clients in CLIENTS:
        arguments = (str(clients), SECONDS)
        said = run_pod(NAMESPACE, "load", script, *arguments, timeout=900, MLFLOW_TRACKING_URI=uri, MLFLOW_USER=user)
        found = json.loads(said.splitlines()[-1])
        errors = sum(count for status, count in found["answers"].items() if status != "200")
        figures[clients] = (found["rate"], errors, found["slowest"])
        say(f"  {who}, {clients} clients: {found['rate']:.1f}/s, {found['answers']}, slowest {found['slowest']:.1f} s")
    figures["loaded"] = float(kubectl("exec", deployment, "-c", "tracking", "--", "python3", "-c", PSS))
    kubectl("scale", deployment, "--replicas=0")
    kubectl("wait", "pod", "-l", "app.kubernetes.io/component=tracking", "--for=delete", "--timeout=2m")
    return figures


def main() -> None:
    """Print the table of each, and our ratios to the image's defaults."""
    found: dict[str, list[Figures]] = {who: [] for who in ("ours", *AGAINST)}
    try:
        run("ansible-playbook", "playbooks/mlflow.yml", "-e", json.dumps(INPUTS))
        ours = json.loads(kubectl("get", f"deployment/{RELEASE}-tracking", "-o", "json"))
        kubectl("scale", f"deployment/{RELEASE}-tracking", "--replicas=0")
        for who in AGAINST:
            kubectl("apply", "-f", "-", stdin=json.dumps(variant(ours, who)))
        for number in range(1, PAIRS + 1):
            for who, list_of in found.items():
                list_of.append(measure(who))
                say(f"  {who}: round {number} of {PAIRS}")
        print("| | " + " | ".join(f"{clients} clients" for clients in CLIENTS) + " | idle | loaded | start |")
        print("|---|" + "---|" * (len(CLIENTS) + 3))
        for who, list_of in found.items():
            last = list_of[-1]
            cells = [f"{last[n][0]:.1f}/s, {last[n][1]} errors, {last[n][2]:.0f} s" for n in CLIENTS]
            memory = f"{last['idle']:.0f} MiB | {last['loaded']:.0f} MiB"
            print(f"| {who} | {' | '.join(cells)} | {memory} | {last['start']:.0f} s |")
        for other in AGAINST:
            both = list(zip(found["ours"], found[other], strict=True))
            for clients in CLIENTS:
                pairs = [(a[clients][0], max(b[clients][0], 0.1)) for a, b in both]
                report(f"log-batch, {clients} clients, ours / {other}, 1/s", pairs, "aim 4 at 40, 6 at 100 and 200")
            report(f"idle memory, ours / {other}, MiB", [(a["idle"], b["idle"]) for a, b in both], "aim at most 0.4")
            report(f"cold start, ours / {other}, s", [(a["start"], b["start"]) for a, b in both], "aim below 1")
    finally:
        run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


if __name__ == "__main__":
    main()
