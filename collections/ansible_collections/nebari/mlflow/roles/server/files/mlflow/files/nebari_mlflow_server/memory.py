"""Remember for a while what was found out, and find out each thing once, however many ask at the same time."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Found = TypeVar("Found")


class Recent(Generic[Found]):
    """At most `size` entries, each for `seconds`, for threads."""

    def __init__(self, seconds: float, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self.size, self.clock = seconds, size, clock
        self._known: OrderedDict[str, tuple[float, Found]] = OrderedDict()

    def get(self, key: str) -> Found | None:
        """Return what is known; None if nothing is, or no longer."""
        known = self._known.get(key)
        return known[1] if known and self.clock() < known[0] else None

    def keep(self, key: str, found: Found) -> None:
        """Remember something as the newest entry."""
        self.forget(key)
        self._known[key] = (self.clock() + self.seconds, found)
        while len(self._known) > self.size:
            self._known.popitem(last=False)

    def forget(self, key: str) -> None:
        """Forget something that is about to change."""
        self._known.pop(key, None)


class Memory(Generic[Found]):
    """At most `size` entries, each for `seconds`, found out by coroutines. Failures are not remembered."""

    def __init__(self, seconds: float, size: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._known: Recent[Found] = Recent(seconds, size, clock)
        self._asked: dict[str, asyncio.Future[Found]] = {}

    async def get(self, key: str, find: Callable[[], Awaitable[Found]]) -> Found:
        known = self._known.get(key)
        if known is not None:
            return known
        if key not in self._asked:
            # A task of its own: the request that asked first may be cancelled while others wait for the answer.
            task = asyncio.ensure_future(find())
            self._asked[key] = task
            task.add_done_callback(lambda done: self._keep(key, done))
        return await asyncio.shield(self._asked[key])

    def _keep(self, key: str, done: asyncio.Future[Found]) -> None:
        self._asked.pop(key, None)
        if not done.cancelled() and not done.exception():
            self._known.keep(key, done.result())
