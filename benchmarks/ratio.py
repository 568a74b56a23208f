"""Two things measured in turn, A B A B …, in one run: on a noisy machine only their ratio says something."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHART = ROOT / "collections/ansible_collections/nebari/mlflow/roles/server/files/mlflow"


def say(text: str) -> None:
    """Print progress where it does not get into a pipe."""
    print(text, file=sys.stderr, flush=True)


def run(*command: str, stdin: str | None = None) -> str:
    """Run a command from the repository's root; its words are the error when it fails."""
    done = subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def seconds(work: Callable[[], object]) -> float:
    """Return how long some work takes, in seconds."""
    start = time.monotonic()
    work()
    return time.monotonic() - start


def compare(title: str, ours: Callable[[], float], baseline: Callable[[], float], pairs: int, aim: str) -> None:
    """Measure pairs of figures and print the median of their ratios, ours over the baseline."""
    figures: list[tuple[float, float]] = []
    for number in range(1, pairs + 1):
        figures.append((ours(), baseline()))
        say(f"  {title}: pair {number} of {pairs}: {figures[-1][0]:.1f} against {figures[-1][1]:.1f}")
    report(title, figures, aim)


def report(title: str, figures: list[tuple[float, float]], aim: str) -> None:
    """Print the median of the ratios of pairs that were measured."""
    ratio = statistics.median(a / b for a, b in figures)
    mine, theirs = (statistics.median(column) for column in zip(*figures, strict=True))
    print(f"{title}: {ratio:.2f}  (ours {mine:.1f}, baseline {theirs:.1f}, {len(figures)} pairs; {aim})", flush=True)
