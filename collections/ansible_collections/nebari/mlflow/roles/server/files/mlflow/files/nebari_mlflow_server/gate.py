"""Let no more threads of a worker use the database than its connections carry.

MLflow takes a second connection while it holds one: `log_batch` always, and up to four where it renames the run. If as
many threads hold one as there are connections, all of them wait for a second, until they fail with 400, which no client
retries. So a thread without a connection waits here until it may have two, and takes a third only while no other
thread has more than two. A thread that holds a connection never waits for one that does the same, so none ends up
waiting for ever, and a worker never has more than twice its places and two open.
"""

from __future__ import annotations

import asyncio
import threading
import time

PATIENCE_SECONDS = 25.0
"""A request waits here and for a thread: together less than the 60 s after which nginx and load balancers give up."""

EACH = 2
"""Connections of an ordinary request."""

MOST = 4
"""Connections of the one request that takes the most: a batch that renames its run."""


class FullError(Exception):
    """All places were taken for as long as a request may wait."""


class Held:
    """What a thread holds."""

    def __init__(self) -> None:
        self.connections = 0


class Gate:
    """The places of a process."""

    def __init__(self, places: int, patience: float = PATIENCE_SECONDS) -> None:
        self.patience = patience
        self.answered = float("-inf")
        """When a connection was last given back in working order."""
        self._places = threading.Semaphore(places)
        self._more = threading.Semaphore(1)
        self._threads = threading.local()

    def enter(self) -> Held | None:
        """Let a thread take one more connection; raise FullError if it had to wait for too long."""
        if asyncio._get_running_loop() is not None:  # unlike its public sister, it raises nothing
            return None  # the event loop's own thread must not wait: it serves all others
        held: Held | None = getattr(self._threads, "held", None)
        if held is None:
            held = self._threads.held = Held()
        lock = {0: self._places, EACH: self._more}.get(held.connections)
        if lock and not lock.acquire(timeout=self.patience):
            raise FullError
        held.connections += 1
        return held

    def leave(self, held: Held | None, *, working: bool) -> None:
        """Take back a connection."""
        if working:
            self.answered = time.monotonic()
        if held is None:
            return
        held.connections -= 1
        lock = {0: self._places, EACH: self._more}.get(held.connections)
        if lock:
            lock.release()
