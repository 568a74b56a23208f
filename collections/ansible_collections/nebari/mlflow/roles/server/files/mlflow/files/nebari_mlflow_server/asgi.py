"""The types of ASGI, and answers as MLflow gives them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def headers(scope: Scope, name: str) -> list[str]:
    """Return every value of a header."""
    wanted = name.lower().encode()
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == wanted]


async def answer(send: Send, status: int, kind: str, text: str, **more: str) -> None:
    """Answer a request in the application's place."""
    body = text.encode()
    found = {"content-type": kind, "content-length": str(len(body)), **more}
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in found.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


async def answer_error(send: Send, status: int, code: str, message: str, **more: str) -> None:
    """Answer with an error, as MLflow writes one."""
    await answer(send, status, "application/json", json.dumps({"error_code": code, "message": message}), **more)


async def read(receive: Receive) -> bytes | None:
    """Read a body to its end. None: the client has gone."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


def replay(body: bytes, receive: Receive) -> Receive:
    """Give a body that was read once more, then what comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
