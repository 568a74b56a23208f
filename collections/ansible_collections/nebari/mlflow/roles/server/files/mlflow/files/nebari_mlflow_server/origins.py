"""Refuse what a page of another site makes a browser send.

MLflow does so for paths below /api/ and /ajax-api/ only, and trusts every page of the browser's own machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from nebari_mlflow_server.asgi import App, Receive, Scope, Send, answer, headers

READING = frozenset({"GET", "HEAD", "OPTIONS"})
_PORTS = {"http": ":80", "https": ":443"}


def same_origin(origin: str, host: str) -> bool:
    """Say whether a page of this origin is the server's own: MLflow has checked the host."""
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return False
    port = _PORTS.get(parts.scheme)
    return port is not None and parts.netloc.removesuffix(port) == host.lower().removesuffix(port)


def permitted(origin: str, host: str, allowed: Sequence[str]) -> bool:
    """Say whether a page of this origin may change something."""
    known = any(fnmatchcase(origin, each) if "*" in each else origin == each for each in allowed)
    return known or same_origin(origin, host)


class Origins:
    """ASGI middleware."""

    def __init__(self, app: App, allowed: Sequence[str]) -> None:
        self.app, self.allowed = app, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in READING:
            host = ",".join(headers(scope, "host"))
            for origin in headers(scope, "origin"):
                if not permitted(origin, host, self.allowed):
                    text = f"Cross-origin request blocked: {origin[:200]!r} is not in tracking.corsAllowedOrigins."
                    await answer(send, 403, "text/plain", text)
                    return
        await self.app(scope, receive, send)
