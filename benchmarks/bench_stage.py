"""What the Nebari door costs: the stage beyond its playbook, the plugin at Nebari's start, the command line."""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.ratio import run, say, seconds

PAIRS = 5
INPUTS = {
    "mlflow_provider": "local",
    "mlflow_project_name": "demo",
    "mlflow_namespace": "dev",
    "mlflow_kubeconfig": os.environ["KUBECONFIG"],
}
STAGE = """
import json, sys, time
import click, pydantic, typer, yaml
began = time.perf_counter()
from nebari_mlflow.play.deployment import execute
from nebari_mlflow.names import DEPLOY
execute(DEPLOY, json.loads(sys.argv[1]))
print("SECONDS", time.perf_counter() - began)
"""
START = """
import time
import pluggy, typer
began = time.perf_counter()
import nebari_mlflow
nebari_mlflow.nebari_subcommand(typer.Typer())
print("SECONDS", time.perf_counter() - began)
"""  # what Nebari does with a plugin at every start; it has typer and pluggy loaded by then


def inside(script: str, *arguments: str) -> float:
    """Run a script in a fresh Python; it prints how long the part that counts took."""
    return float(run(sys.executable, "-c", script, *arguments).rsplit("SECONDS", 1)[1])


def figure(title: str, values: list[float], aim: str, unit: str = "s") -> None:
    """Print the median."""
    print(f"{title}: {statistics.median(values):.2f} {unit}  ({len(values)} runs; {aim})", flush=True)


def stage() -> list[float]:
    """Seconds of a stage with nothing to change beyond `ansible-playbook` with the same variables."""
    beyond = []
    for number in range(1, PAIRS + 1):
        ours = inside(STAGE, json.dumps(INPUTS))
        bare = seconds(lambda: run("ansible-playbook", "playbooks/mlflow.yml", "-e", json.dumps(INPUTS)))
        say(f"  stage: pair {number} of {PAIRS}: {ours:.2f} against {bare:.2f}")
        beyond.append(ours - bare)
    return beyond


def main() -> None:
    """Print the figures."""
    command = str(Path(sys.executable).with_name("nebari-mlflow"))
    with tempfile.TemporaryDirectory() as folder:
        variables = Path(folder) / "vars.yml"
        variables.write_text(json.dumps(INPUTS))
        figure("the stage beyond ansible-playbook", stage(), "at most 1 s")
        figure("the plugin at Nebari's start", [1000 * inside(START) for _ in range(PAIRS)], "at most 50 ms", "ms")
        looks = [seconds(lambda: run(command, "status", "--vars", str(variables))) for _ in range(PAIRS)]
        figure("nebari-mlflow status", looks, "under 2 s")
        figure("nebari-mlflow --help", [seconds(lambda: run(command, "--help")) for _ in range(PAIRS)], "under 0.4 s")


if __name__ == "__main__":
    main()
