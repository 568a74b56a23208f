"""Ctrl-C, SIGTERM and the deadline, turned into an orderly end of the play."""

from __future__ import annotations

import logging
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from . import processes

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    import psutil

LOG = logging.getLogger("nebari_mlflow")
AGAIN = "Run the same command again: it repairs what was left half-way and finishes the job."
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Deadline:
    """While entered, end the processes started since then on a signal or after `deadline` seconds.

    Signal handlers are only installed in the main thread, and the previous ones come back.
    """

    def __init__(self, deadline: float | None, grace: float = processes.GRACE) -> None:
        self._deadline = deadline
        self._grace = grace
        self._wake = threading.Event()
        self._done = threading.Event()
        self._before: set[int] = set()
        self._previous: dict[int, Any] = {}
        self._thread = threading.Thread(target=self._watch, name="nebari-mlflow-watch", daemon=True)
        self.reason: tuple[str, str, str] | None = None
        self.exit_code = 1

    def __enter__(self) -> Deadline:
        self._before = {process.pid for process in processes.descendants()}
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in SIGNALS}
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self.reason is None:
            self._stop("NML501", "The run was interrupted.", 1)
        self._done.set()
        if self.reason is None:
            self._wake.set()
        self._thread.join()
        for number, previous in self._previous.items():
            signal.signal(number, previous)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        self._stop("NML501", "The run was stopped by " + ("Ctrl-C." if name == "SIGINT" else f"{name}."), 128 + number)

    def _stop(self, code: str, cause: str, exit_code: int) -> None:
        if self.reason is None:
            self.reason, self.exit_code = (code, cause, AGAIN), exit_code
        self._wake.set()

    def _watch(self) -> None:
        if not self._wake.wait(self._deadline):
            self._stop("NML502", f"The run did not end within {self._deadline:.0f} s.", 1)
        if self.reason is not None:
            LOG.warning("%s Ending helm and the modules, at most %.0f s.", self.reason[1], self._grace)
            self._end()

    def _tree(self) -> list[psutil.Process]:
        return [process for process in processes.descendants() if process.pid not in self._before]

    def _end(self) -> None:
        """Ask every program once, also those that a retry starts meanwhile; in the end kill what is left."""
        asked: dict[int, psutil.Process] = {}
        give_up = time.monotonic() + self._grace
        while time.monotonic() < give_up:
            tree = self._tree()
            fresh = [process for process in tree if process.pid not in asked]
            asked.update((process.pid, process) for process in processes.terminate(fresh))
            if not tree and not any(process.is_running() for process in asked.values()):
                return
            time.sleep(0.2)
        processes.kill([*asked.values(), *self._tree()])
