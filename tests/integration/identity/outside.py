"""MLflow's client in a pod that reaches the server only by its public name, as a program outside the cluster does."""

from __future__ import annotations

import json

from tests.support import MLFLOW_IMAGE, kubectl

CLIENT = """
import json, mlflow
mlflow.set_experiment("from outside")
with mlflow.start_run() as run:
    mlflow.log_metric("a", 1)
    mlflow.log_text("hello", "a.txt")
@mlflow.trace
def work(): return 1
work()
mlflow.flush_trace_async_logging()
found = mlflow.get_run(run.info.run_id)
traces = mlflow.search_traces(experiment_ids=[run.info.experiment_id], max_results=1, return_type="list")
text = mlflow.artifacts.load_text(found.info.artifact_uri + "/a.txt")
print(json.dumps([found.info.user_id, text, traces[0].info.trace_metadata["mlflow.user"]]))
"""
"""Prints who is the author of a run, what its artifact says, and who is the author of the newest trace."""


TRAEFIK = "app.kubernetes.io/component=traefik-ingress"


def outside(
    namespace: str,
    domain: str,
    path: str,
    token: str,
    name: str,
    *arguments: str,
    script: str = CLIENT,
    controller: str = TRAEFIK,
) -> list[str]:
    """Run a script with a token through the controller of the namespace, and return the lines that it prints."""
    address = "jsonpath={.items[0].status.podIP}"
    address = kubectl("-n", namespace, "get", "pods", "-l", controller, "-o", address)
    env = {
        "MLFLOW_TRACKING_URI": f"https://{domain}:8443{path}",
        "MLFLOW_TRACKING_TOKEN": token,
        "MLFLOW_TRACKING_INSECURE_TLS": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "HOME": "/tmp",  # noqa: S108
    }
    container = {
        "name": "client",
        "image": MLFLOW_IMAGE,
        "command": ["python3", "-W", "ignore", "-c", script, *arguments],
        "env": [{"name": key, "value": value} for key, value in env.items()],
    }
    spec = {
        "restartPolicy": "Never",
        "hostAliases": [{"ip": address, "hostnames": [domain]}],
        "containers": [container],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    kubectl("-n", namespace, "apply", "-f", "-", stdin=json.dumps(pod))
    ended = "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"
    kubectl("-n", namespace, "wait", f"pod/{name}", f"--for={ended}", "--timeout=400s")
    printed = kubectl("-n", namespace, "logs", name)
    assert kubectl("-n", namespace, "get", "pod", name, "-o", ended) == "0", printed
    return printed.splitlines()


def logs_a_run(namespace: str, domain: str, path: str, token: str, name: str, controller: str = TRAEFIK) -> list[str]:
    """Log a run as a program outside the cluster does; return what CLIENT prints."""
    found: list[str] = json.loads(outside(namespace, domain, path, token, name, controller=controller)[-1])
    return found
