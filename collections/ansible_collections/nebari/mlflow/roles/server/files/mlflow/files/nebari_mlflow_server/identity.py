"""Let nobody in whom the server does not know, and say to everything behind who it is."""

from __future__ import annotations

import json
import logging
import time

from nebari_mlflow_server.asgi import App, Message, Receive, Scope, Send, answer_error, headers
from nebari_mlflow_server.credentials import Answer
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
            await self._refuse(scope, send, error)
        except ForbiddenError as error:
            await answer_error(send, 403, "PERMISSION_DENIED", str(error))
        except UnavailableError as error:
            await _say_unavailable(send, error)
        return None

    async def _refuse(self, scope: Scope, send: Send, error: RefusedError) -> None:
        """Send a browser that opens a page to the login; tell everything else why it is refused."""
        try:
            found = await self.doorkeeper.way_in(scope)
        except UnavailableError as unavailable:
            await _say_unavailable(send, unavailable)
            return
        if found is None:
            await answer_error(send, 401, "UNAUTHENTICATED", str(error), www_authenticate='Bearer realm="mlflow"')
        else:
            await _hand_on(send, found)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            current.set(await self.doorkeeper.person(scope))
        except (RefusedError, ForbiddenError, UnavailableError):
            await send({"type": "websocket.close", "code": 1008})
            return
        await self.app(scope, receive, send)


async def _say_unavailable(send: Send, error: UnavailableError) -> None:
    text = f"Cannot find out who you are: {error}. Nobody is let in unchecked; try again."
    await answer_error(send, 503, "TEMPORARILY_UNAVAILABLE", text, retry_after=str(RETRY_AFTER_SECONDS))


async def _hand_on(send: Send, found: Answer) -> None:
    """Answer as the login did. Nothing but where it sends the browser, and its cookies, gets through."""
    pairs = [(b"location", found.headers["Location"]), (b"cache-control", "no-store"), (b"content-length", "0")]
    pairs += [(b"set-cookie", each) for each in found.cookies]
    encoded = [(name, value.encode("latin-1")) for name, value in pairs]
    await send({"type": "http.response.start", "status": found.status, "headers": encoded})
    await send({"type": "http.response.body", "body": b""})


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
