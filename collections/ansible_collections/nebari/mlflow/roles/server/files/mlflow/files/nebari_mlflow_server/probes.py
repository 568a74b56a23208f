"""Answer the kubelet: at once, however many requests wait, and let connections end before the pod does."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from nebari_mlflow_server.asgi import App, Message, Receive, Scope, Send, answer
from nebari_mlflow_server.gate import Gate

HEALTH, READY = "/health", "/health/ready"
TEXT = "text/html; charset=utf-8"
"""As MLflow answers `/health`."""

FRESH_SECONDS = 2.5
DRAINING = Path("/tmp/draining")  # noqa: S108  # the container's own
"""The pod's preStop hook creates it."""


class Probes:
    """ASGI middleware.

    `/health` says that the process answers, `/health/ready` that the database does: what requests have seen in the
    last seconds counts; otherwise `read` reads from the database, and any error means that the server is not ready.
    """

    def __init__(self, app: App, gate: Gate, read: Callable[[], Awaitable[None]], draining: Path = DRAINING) -> None:
        self.app, self.gate, self.read, self.draining = app, gate, read, draining
        draining.unlink(missing_ok=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"] == HEALTH:
            await answer(send, 200, TEXT, "OK")
        elif scope["path"] == READY:
            await self._say_ready(send)
        elif self.draining.exists():
            await self.app(scope, receive, _closing(send))
        else:
            await self.app(scope, receive, send)

    async def _say_ready(self, send: Send) -> None:
        try:
            if time.monotonic() - self.gate.answered >= FRESH_SECONDS:
                await self.read()
        except Exception as error:  # whatever it is, the server is not ready
            await answer(send, 503, TEXT, f"not ready ({type(error).__name__})")
        else:
            await answer(send, 200, TEXT, "OK")


def _closing(send: Send) -> Send:
    """Ask the client to open its next connection to another pod."""

    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
        await send(message)

    return closing
