# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Run a program so that it never outlives this process."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_PDEATHSIG = 1
GRACE = 20.0  # seconds that the program gets to tidy up after SIGTERM
POLL_EVERY = 0.5  # seconds

if sys.platform == "linux":
    _libc = ctypes.CDLL(None, use_errno=True)


class Program:
    """A program that was started. Start it from the main thread: it ends when the starting thread does."""

    def __init__(self, line: list[str], environment: dict[str, str], stdin: str = "") -> None:
        """`stdin` reaches it through a file without a name, so it need not be read for us to go on."""
        parent = os.getpid()

        def die_with_parent() -> None:
            if sys.platform == "linux":
                _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
                if os.getppid() != parent:  # it died before the line above
                    os._exit(1)

        with tempfile.TemporaryFile("w+", encoding="utf-8") as given:
            given.write(stdin)
            given.seek(0)
            self._process = subprocess.Popen(
                line,
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
                preexec_fn=die_with_parent,
            )

    def finish(self, poll: Callable[[], None] = lambda: None) -> tuple[int, str, str]:
        """Wait for its end and return exit code, stdout and stderr. `poll` may raise, which ends the program."""
        try:
            while True:
                try:
                    stdout, stderr = self._process.communicate(timeout=POLL_EVERY)
                except subprocess.TimeoutExpired:
                    poll()
                else:
                    return self._process.returncode, stdout, stderr
        finally:
            self.stop()

    def stop(self) -> None:
        """End it if it still runs, and wait for that: SIGTERM lets helm write its record."""
        process = self._process
        if process.poll() is None:
            process.terminate()
            deadline = time.monotonic() + GRACE
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
        if process.poll() is None:
            process.kill()
            process.wait()
