"""A deploy with nothing to change, against a bare `helm upgrade` of the same chart with nothing to change."""

from __future__ import annotations

import json
import os

from benchmarks.ratio import CHART, compare, run, seconds

PAIRS = 5
INPUTS = {
    "mlflow_provider": "local",
    "mlflow_project_name": "demo",
    "mlflow_namespace": "dev",
    "mlflow_kubeconfig": os.environ["KUBECONFIG"],
}


def main() -> None:
    """Print the ratio of their wall times."""
    values = run("helm", "get", "values", "demo-mlflow", "-n", "dev", "-o", "json")
    upgrade = ["helm", "upgrade", "--install", "bench", str(CHART), "-n", "bench-noop", "--create-namespace", "-f", "-"]
    run(*upgrade, stdin=values)
    try:
        compare(
            "no-op deploy / helm upgrade, seconds",
            lambda: seconds(lambda: run("ansible-playbook", "playbooks/mlflow.yml", "-e", json.dumps(INPUTS))),
            lambda: seconds(lambda: run(*upgrade, stdin=values)),
            PAIRS,
            "aim 3, at most 4",
        )
    finally:
        run("kubectl", "delete", "namespace", "bench-noop", "--wait=false")


if __name__ == "__main__":
    main()
