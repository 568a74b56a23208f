"""A first deploy until a run is logged, against a bare `kubectl apply` of the same manifests until they are ready."""

from __future__ import annotations

import json
import os

from benchmarks.ratio import CHART, compare, run, say, seconds

PAIRS = 2
NAMESPACES = ("bench-fresh", "bench-apply")
INPUTS = {
    "mlflow_provider": "local",
    "mlflow_project_name": "bench",
    "mlflow_namespace": NAMESPACES[0],
    "mlflow_kubeconfig": os.environ["KUBECONFIG"],
}


def empty() -> None:
    """Begin with two empty namespaces, so that nothing of one measurement runs beside the other."""
    say("  emptying the namespaces")
    run("kubectl", "delete", "namespace", *NAMESPACES, "--ignore-not-found", "--wait")
    for namespace in NAMESPACES:
        run("kubectl", "create", "namespace", namespace)


def deploy() -> float:
    """Deploy into an empty namespace; it ends when a run, an artifact and a model version were read back."""
    empty()
    return seconds(lambda: run("ansible-playbook", "playbooks/mlflow.yml", "-e", json.dumps(INPUTS)))


def apply(manifests: str, secrets: str) -> float:
    """Apply the same manifests and Secrets with kubectl and wait until the server is ready."""
    namespace = NAMESPACES[1]
    empty()

    def work() -> None:
        run("kubectl", "apply", "-n", namespace, "-f", "-", stdin=secrets)
        run("kubectl", "apply", "-n", namespace, "-f", "-", stdin=manifests)
        for workload in ("statefulset/bench-mlflow-postgresql", "deployment/bench-mlflow-tracking"):
            run("kubectl", "rollout", "status", "-n", namespace, workload, "--timeout=10m")

    return seconds(work)


def main() -> None:
    """Print the ratio of their wall times."""
    values = {"storage": {"uri": "/mlflow/artifacts", "volume": {"size": "20Gi"}}}
    manifests = run(
        "helm", "template", "bench-mlflow", str(CHART), "-n", NAMESPACES[1], "--no-hooks", "-f", "-",
        stdin=json.dumps(values),
    )  # fmt: skip
    passwords = {
        "bench-mlflow-keys": {
            "MLFLOW_CRYPTO_KEK_PASSPHRASE": "benchmark",
            "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "benchmark",
        },
        "bench-mlflow-postgresql": {"postgres-password": "benchmark", "password": "benchmark"},
    }
    secrets = "\n---\n".join(
        json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})
        for name, data in passwords.items()
    )
    try:
        compare(
            "first deploy until a run is logged / kubectl apply until ready, seconds",
            deploy,
            lambda: apply(manifests, secrets),
            PAIRS,
            "aim 1.2",
        )
    finally:
        for namespace in NAMESPACES:
            run("kubectl", "delete", "namespace", namespace, "--ignore-not-found", "--wait=false")


if __name__ == "__main__":
    main()
