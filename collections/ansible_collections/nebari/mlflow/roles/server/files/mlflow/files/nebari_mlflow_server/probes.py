"""Answer the kubelet: at once, however many requests wait, and let connections end before the pod does."""

from __future__ import annotations

import time
from pathlib import Path

from nebari_mlflow_server.asgi import App, Message, Receive, Scope, Send, answer
from nebari_mlflow_server.gate import Gate

HEALTH, READY = "/health", "/health/ready"
FRESH_SECONDS = 2.5
DRAINING = Path("/tmp/draining")  # noqa: S108  # the container's own
"""The pod's preStop hook creates it."""

_EXPERIMENT = {
    "path": "/api/2.0/mlflow/experiments/search",
    "raw_path": b"/api/2.0/mlflow/experiments/search",
    "query_string": b"max_results=1",
    "headers": [(b"host", b"localhost")],
}


class Probes:
    """ASGI middleware.

    `/health` says that the process answers, `/health/ready` that the database does: what other requests have just seen
    counts; otherwise an experiment is read, by the application itself if it lets in only people whom it knows.
    """

    def __init__(self, app: App, gate: Gate, draining: Path = DRAINING, *, known_people: bool = False) -> None:
        self.app, self.gate, self.draining, self.known_people = app, gate, draining, known_people
        draining.unlink(missing_ok=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"] == HEALTH or (scope["path"] == READY and self._fresh()):
            await answer(send, 200, "text/html; charset=utf-8", "OK")
        elif scope["path"] == READY and not self.known_people:
            await self.app({**scope, "method": "GET", **_EXPERIMENT}, receive, send)
        elif self.draining.exists():
            await self.app(scope, receive, _closing(send))
        else:
            await self.app(scope, receive, send)

    def _fresh(self) -> bool:
        return time.monotonic() - self.gate.answered < FRESH_SECONDS


def _closing(send: Send) -> Send:
    """Ask the client to open its next connection to another pod."""

    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
        await send(message)

    return closing
