"""A request to an ASGI application, without a server."""

from __future__ import annotations

import asyncio
from typing import Any


class Exchange:
    """One request to an ASGI application, and what it answered."""

    def __init__(self, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.scope = {"type": "http", "method": method, "path": path, "headers": pairs}
        self.body = [body[: len(body) // 2], body[len(body) // 2 :]]
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": self.body.pop(0), "more_body": bool(self.body)}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def to(self, application: Any) -> int:
        await application(self.scope, self.receive, self.send)
        return self.status

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])


async def fine(scope: Any, receive: Any, send: Any) -> None:
    """Answer 200 with what was sent."""
    del scope
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
