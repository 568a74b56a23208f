"""Let requests that wait for the artifact store occupy only a part of a worker's threads.

A worker answers in 40 threads. A store that does not answer holds each of them for minutes; with all of them held,
nobody logs a metric. Requests beyond the part wait without a thread, for a while, and are then told to come back.
Stores that an administrator lists beside the server's own get half of that part, so that they never block the own one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass

from nebari_mlflow_server.asgi import App, Message, Receive, Scope, Send, answer_error, read, replay

SLOTS = 20
OTHER_STORES = 10
PATIENCE_SECONDS = 15.0
RETRY_AFTER_SECONDS = 5
BUSY = 503
QUIET_SECONDS = 60.0

_STORE = re.compile(
    r"/(model-versions/)?get-artifact"
    r"|/(ajax-)?api/[0-9.]+/mlflow-artifacts/.*"
    r"|/(ajax-)?api/[0-9.]+/mlflow/"
    r"(artifacts/.*|logged-models/.*artifacts/.*|upload-artifact|get-trace-artifact|runs/create-promptlab-run)"
)
_STREAMED = re.compile(r"/(ajax-)?api/2\.0/mlflow-artifacts/artifacts/.+")
_GRAPHQL = "/graphql"

_others = threading.BoundedSemaphore(OTHER_STORES)
_logger = logging.getLogger("mlflow.server.nebari")


def waits_for_store(method: str, path: str, body: bytes = b"") -> bool:
    """Say whether a thread serves this request and asks the artifact store meanwhile.

    MLflow streams uploads and downloads of the proxy outside of these threads.
    """
    if path == _GRAPHQL:
        return _lists_artifacts(body)
    streamed = method in {"GET", "PUT"} and _STREAMED.fullmatch(path)
    return bool(_STORE.fullmatch(path)) and not streamed


def _lists_artifacts(body: bytes) -> bool:
    try:
        return "ListArtifacts" in json.loads(body)["query"]
    except (ValueError, KeyError, TypeError):
        return True


class BusyError(Exception):
    """The places for requests to other stores are taken."""


@dataclass
class Held:
    """What a request holds beside its slot."""

    other_store: bool = False

    def give_back(self) -> None:
        if self.other_store:
            self.other_store = False
            _others.release()


_held: ContextVar[Held | None] = ContextVar("held", default=None)


def hold_other_store() -> None:
    """Take a place for this thread's request, which is about to open another store; raise BusyError if none is free."""
    held = _held.get()
    if held is None or held.other_store:
        return
    if not _others.acquire(blocking=False):
        raise BusyError
    held.other_store = True


class Slots:
    """ASGI middleware."""

    def __init__(self, app: App, slots: int = SLOTS, patience: float = PATIENCE_SECONDS) -> None:
        self.app, self.patience = app, patience
        self._free = asyncio.Semaphore(slots)
        self._told = -QUIET_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        if path != _GRAPHQL and not waits_for_store(method, path):
            await self.app(scope, receive, send)
            return
        # MLflow, too, reads a body to its end before a thread gets it; a slow sender must not hold a slot.
        body = await read(receive)
        if body is None:
            return
        again = replay(body, receive)
        if not waits_for_store(method, path, body):
            await self.app(scope, again, send)
        elif await self._taken():
            await self._serve(scope, again, send)
        else:
            self._tell(path)
            message = f"The artifact store is slow: all places for requests to it are taken. ({method} {path[:200]})"
            await answer_error(send, BUSY, "TEMPORARILY_UNAVAILABLE", message, retry_after=str(RETRY_AFTER_SECONDS))

    async def _taken(self) -> bool:
        try:
            await asyncio.wait_for(self._free.acquire(), self.patience)
        except asyncio.TimeoutError:  # noqa: UP041  # another class before Python 3.11
            return False
        return True

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        held, waiting = Held(), True
        _held.set(held)  # the thread that serves the request gets a copy of this context

        def release() -> None:
            nonlocal waiting
            if waiting:
                waiting = False
                held.give_back()
                self._free.release()

        async def send_and_release(message: Message) -> None:
            # From the first byte on, the store has answered, and only the client can be slow.
            release()
            if message.get("status") == BUSY:
                message["headers"] = [*message.get("headers", []), (b"retry-after", str(RETRY_AFTER_SECONDS).encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_and_release)
        finally:
            release()

    def _tell(self, path: str) -> None:
        now = time.monotonic()
        if now - self._told >= QUIET_SECONDS:
            self._told = now
            _logger.warning("The artifact store is slow; requests to it are answered with 503, such as %r.", path[:200])
