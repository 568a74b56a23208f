"""Let nobody in whom the server does not know, and say to everything behind who it is."""

from __future__ import annotations

import json
import logging
import time

from nebari_mlflow_server.asgi import App, Message, Receive, Scope, Send, answer_error, headers
from nebari_mlflow_server.doors import Doorkeeper
from nebari_mlflow_server.people import ForbiddenError, Person, RefusedError, UnavailableError, current

OPEN = frozenset({"/version"})
"""Paths that need no credential. The kubelet's are answered before (probes.py)."""

METRICS = "/metrics"
RETRY_AFTER_SECONDS = 5

_log = logging.getLogger("mlflow.server.nebari.access")


class Identity:
    """ASGI middleware."""

    def __init__(self, app: App, doorkeeper: Doorkeeper, *, metrics: bool = False, log: bool = True) -> None:
        self.app, self.doorkeeper, self.log = app, doorkeeper, log
        self.open = OPEN | ({METRICS} if metrics else frozenset())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["path"] in self.open or _asks_before_crossing(scope):
            await self.app(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status, person = time.monotonic(), 0, None

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        try:
            person = await self._person(scope, seen)
            if person is not None:
                current.set(person)
                await self.app(scope, receive, seen)
        finally:
            if self.log:
                _log.info(_line(scope, person, status, time.monotonic() - started))

    async def _person(self, scope: Scope, send: Send) -> Person | None:
        """Who it is. None: an answer that says why not was sent."""
        try:
            return await self.doorkeeper.person(scope)
        except RefusedError as error:
            await answer_error(send, 401, "UNAUTHENTICATED", str(error), www_authenticate='Bearer realm="mlflow"')
        except ForbiddenError as error:
            await answer_error(send, 403, "PERMISSION_DENIED", str(error))
        except UnavailableError as error:
            text = f"Cannot find out who you are: {error}. Nobody is let in unchecked; try again."
            await answer_error(send, 503, "TEMPORARILY_UNAVAILABLE", text, retry_after=str(RETRY_AFTER_SECONDS))
        return None

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            current.set(await self.doorkeeper.person(scope))
        except (RefusedError, ForbiddenError, UnavailableError):
            await send({"type": "websocket.close", "code": 1008})
            return
        await self.app(scope, receive, send)


def _asks_before_crossing(scope: Scope) -> bool:
    """A browser's question before a request of another origin. It carries no credential, and MLflow's CORS answers."""
    return (
        scope["method"] == "OPTIONS"
        and bool(headers(scope, "origin"))
        and bool(headers(scope, "access-control-request-method"))
    )


def _line(scope: Scope, person: Person | None, status: int, seconds: float) -> str:
    return json.dumps(
        {
            "user": person.name if person else "",
            "method": scope["method"],
            "path": scope["path"][:500],
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
        }
    )
