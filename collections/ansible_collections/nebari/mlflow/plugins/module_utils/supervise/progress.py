# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Lines that say what a deploy is doing, for the person who waits for it."""

from __future__ import annotations

import time
from pathlib import Path

from ..visible import visible

HEARTBEAT = 10.0  # seconds after which an unchanged state is said again


class Progress:
    """Append lines to the file that the action plugin shows; without one, do nothing."""

    def __init__(self, path: str | None, name: str, before: float = 0.0) -> None:
        self._path = Path(path) if path else None
        self._name = name
        self._last = ""
        self._said_at = 0.0
        self._before = before  # seconds that earlier tasks of the same deploy took
        self.started = time.monotonic()

    def elapsed(self) -> float:
        """Return the seconds since the task began."""
        return time.monotonic() - self.started

    def waited(self) -> float:
        """Return the seconds to show: they never jump back from one task of a deploy to the next."""
        return self._before + self.elapsed()

    def say(self, state: str, suffix: str = "") -> None:
        """Show `state` when it is new or HEARTBEAT seconds old; `suffix` may change on every call."""
        now = time.monotonic()
        if state == self._last and now - self._said_at < HEARTBEAT:
            return
        self._last, self._said_at = state, now
        if self._path is not None:
            line = f"  {self._name}: {state}{' ' + suffix if suffix else ''}".replace("\n", " ")
            try:
                with self._path.open("a", encoding="utf-8") as stream:
                    stream.write(visible(line) + "\n")
            except OSError:
                self._path = None  # the one who would read it has gone
