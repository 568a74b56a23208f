"""`access.mode: users` beside `open`: the same server, database and cluster; only the check of who asks differs.

The users are service accounts without any other right, so MLflow's permissions are read for each of their requests. One
of the two servers runs at a time. At the end, PEOPLE of them work for a minute as people do.
"""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

from benchmarks.ratio import report, run, say
from tests.support import run_pod

NAMESPACE, RELEASE = "bench-users", "bench-mlflow"
PAIRS = int(os.environ.get("PAIRS", "3"))
CLIENTS = os.environ.get("CLIENTS", "8")
SECONDS = os.environ.get("SECONDS_EACH", "20")
PEOPLE = int(os.environ.get("PEOPLE", "50"))
MINUTE = os.environ.get("PEOPLE_SECONDS", "60")
AUDIENCE = "mlflow"
AIM = "aim at least 0.9"
INPUTS = {
    "mlflow_provider": "local",
    "mlflow_project_name": "bench",
    "mlflow_namespace": NAMESPACE,
    "mlflow_kubeconfig": os.environ["KUBECONFIG"],
    "mlflow_verify": False,
    "mlflow_access": {
        "mode": "users",
        "kubernetes": {"enabled": True, "audience": AUDIENCE, "namespaces": [NAMESPACE]},
    },
}
USERS, OPEN = f"deployment/{RELEASE}-tracking", "deployment/bench-open"


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    return run("kubectl", "-n", NAMESPACE, *arguments, stdin=stdin)


def without_users() -> dict[str, Any]:
    """Return the Deployment of the server that asks nobody who they are."""
    other: dict[str, Any] = copy.deepcopy(json.loads(kubectl("get", USERS, "-o", "json")))
    other["metadata"] = {"name": OPEN.partition("/")[2], "namespace": NAMESPACE}
    other.pop("status", None)
    container = other["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [each for each in container["env"] if each["name"] != "NEBARI_MLFLOW_ACCESS"]
    for labels in (other["spec"]["selector"]["matchLabels"], other["spec"]["template"]["metadata"]["labels"]):
        labels["bench"] = "open"
    other["spec"]["replicas"] = 0
    return other


def tokens() -> list[str]:
    """Create the people, and return a token of each."""
    names = [f"person-{number}" for number in range(PEOPLE)]
    items = [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}} for name in names]
    kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return [kubectl("create", "token", name, f"--audience={AUDIENCE}", "--duration=2h").strip() for name in names]


def ask(script: str, *arguments: str, given: list[str]) -> Any:
    """Run a script of this directory in a pod, and return what it found."""
    source = Path(__file__).with_name(script).read_text()
    uri = f"http://{RELEASE}-tracking.{NAMESPACE}.svc:5000"
    said = run_pod(
        NAMESPACE, "load", source, *arguments, timeout=900, MLFLOW_TRACKING_URI=uri, MLFLOW_TOKENS=json.dumps(given)
    )
    return json.loads(said.splitlines()[-1])


def only(deployment: str, other: str) -> None:
    """Let one of the two servers run."""
    kubectl("scale", other, "--replicas=0")
    kubectl("wait", "pod", "-l", "app.kubernetes.io/component=tracking", "--for=delete", "--timeout=2m")
    kubectl("scale", deployment, "--replicas=1")
    kubectl("rollout", "status", deployment, "--timeout=10m")


def measure(who: str, given: list[str]) -> dict[str, float]:
    """Return the requests per second of each kind."""
    rates = {}
    for kind, more in (("log-batch", ()), ("runs/search", ("search",))):
        found = ask("load.py", CLIENTS, SECONDS, *more, given=given)
        rates[kind] = float(found["rate"])
        say(f"  {who}, {kind}: {found['rate']:.1f}/s, {found['answers']}")
    return rates


def main() -> None:
    """Print the two ratios, and what 50 people at once met."""
    try:
        run("ansible-playbook", "playbooks/mlflow.yml", "-e", json.dumps(INPUTS))
        people = tokens()
        kubectl("apply", "-f", "-", stdin=json.dumps(without_users()))
        figures: list[tuple[dict[str, float], dict[str, float]]] = []
        for number in range(1, PAIRS + 1):
            say(f"  pair {number} of {PAIRS}")
            only(OPEN, USERS)
            open_ones = measure("open", [])
            only(USERS, OPEN)
            figures.append((measure("users", people), open_ones))
        for kind in ("log-batch", "runs/search"):
            report(f"{kind}, users / open, 1/s", [(mine[kind], theirs[kind]) for mine, theirs in figures], AIM)
        found = ask("people.py", str(PEOPLE), MINUTE, given=people)
        errors = {answer: count for answer, count in found["answers"].items() if not answer.endswith(" 200")}
        slow = ", ".join(f"{kind} {seconds:.2f} s" for kind, seconds in found["p95"].items())
        requests = sum(found["answers"].values())
        print(f"{PEOPLE} users for {MINUTE} s: {requests} requests, errors {errors or 0}; p95: {slow}")
    finally:
        run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


if __name__ == "__main__":
    main()
