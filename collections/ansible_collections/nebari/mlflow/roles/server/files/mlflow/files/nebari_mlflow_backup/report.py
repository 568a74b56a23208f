"""What a run says: a line of progress from time to time, and at its end one JSON object where Kubernetes keeps it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

EVERY = 10.0  # seconds
LONGEST = 4000  # bytes; Kubernetes keeps 4096


class RefusedError(Exception):
    """A failure that another try would not cure: `cause` and what to do."""

    def __init__(self, cause: str, fix: str) -> None:
        super().__init__(f"{cause} Fix: {fix}")
        self.cause, self.fix = cause, fix


class Progress:
    """Print a line when the task changes or ten seconds have passed."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self._told: tuple[str, float] = ("", 0.0)

    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def say(self, task: str, figure: str = "") -> None:
        now = time.monotonic()
        if task != self._told[0] or now - self._told[1] >= EVERY:
            print(f"{task}{f': {figure}' if figure else ''} ({self.elapsed():.0f} s)", flush=True)
            self._told = (task, now)


def size(number: float) -> str:
    """Return bytes as a person reads them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def end(result: dict[str, Any]) -> None:
    """Print the result as the last line, and leave it for Kubernetes, less the longest parts if it is too long."""
    print(json.dumps(result, sort_keys=True), flush=True)
    kept = dict(result)
    while len(text := json.dumps(kept, sort_keys=True)) > LONGEST:
        del kept[max(kept, key=lambda name: len(json.dumps(kept[name])))]
    Path(os.environ.get("TERMINATION_MESSAGE", "/dev/termination-log")).write_text(text, encoding="utf-8")
