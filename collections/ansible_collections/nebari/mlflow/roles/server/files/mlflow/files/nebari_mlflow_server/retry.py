"""Answer 503 with Retry-After to what a client can simply ask again: MLflow's clients retry 503, and never 400.

A worker answers in 40 threads. What comes while all of them are taken waits without one, and is told to come back
before anything between it and its client loses patience.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time

from nebari_mlflow_server.asgi import App, Message, Receive, Scope, Send, answer_error, read, replay
from nebari_mlflow_server.database import Trouble, trouble
from nebari_mlflow_server.gate import PATIENCE_SECONDS

THREADS = 40
RETRY_AFTER_SECONDS = 2
BUSY = 503
FAILED = frozenset({400, 500, BUSY})
QUIET_SECONDS = 60.0

_WITHOUT_THREAD = re.compile(r"/(health|version)|/static-files/.*|/(ajax-)?api/2\.0/mlflow-artifacts/artifacts/.+")

_logger = logging.getLogger("mlflow.server.nebari")


class Threads:
    """ASGI middleware: requests wait for a thread for a while, not for ever."""

    def __init__(self, app: App, threads: int = THREADS, patience: float = PATIENCE_SECONDS) -> None:
        self.app, self.patience = app, patience
        self._free = asyncio.Semaphore(threads)
        self._told = -QUIET_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (scope["method"] != "DELETE" and _WITHOUT_THREAD.fullmatch(scope["path"])):
            await self.app(scope, receive, send)
            return
        body = await read(receive)  # a slow sender must not hold a thread's place
        if body is None:
            return
        try:
            await asyncio.wait_for(self._free.acquire(), self.patience)
        except asyncio.TimeoutError:  # noqa: UP041  # another class before Python 3.11
            self._tell()
            message = f"The server is busy: no thread came free within {self.patience:.0f} s. Try again."
            await answer_error(send, BUSY, "TEMPORARILY_UNAVAILABLE", message, retry_after=str(2 * RETRY_AFTER_SECONDS))
            return
        waiting = True

        def release() -> None:
            nonlocal waiting
            if waiting:
                waiting = False
                self._free.release()

        async def send_and_release(message: Message) -> None:
            release()  # the thread has ended, and only the client can be slow
            await send(message)

        try:
            await self.app(scope, replay(body, receive), send_and_release)
        finally:
            release()

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told >= QUIET_SECONDS:
            self._told = now
            _logger.warning("More requests wait than the server can answer; some get 503. Add workers or replicas.")


class Retryable:
    """ASGI middleware: what failed because the database was away for a moment is answered with 503."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        found, began, replaced = Trouble(), False, False
        trouble.set(found)

        async def checked(message: Message) -> None:
            nonlocal began, replaced
            if message["type"] == "http.response.start":
                began = True
                if found.met and message["status"] in FAILED:
                    replaced = True
                    await _away(send)
            if not replaced:
                await send(message)

        try:
            await self.app(scope, receive, checked)
        except Exception:
            if began or not found.met:
                raise
            _logger.exception("The database did not answer.")
            await _away(send)


async def _away(send: Send) -> None:
    message = "The database did not answer, or refused for a moment. Try again."
    await answer_error(send, BUSY, "TEMPORARILY_UNAVAILABLE", message, retry_after=str(RETRY_AFTER_SECONDS))
