"""Open the UI on what people use, where MLflow's telemetry is off.

The UI says that usage data is collected, whether or not the server allows it. The browser alone remembers that a person
has read it, so the page gets a script that sets what is not set yet. The assistant stays closed until it is opened.
"""

from __future__ import annotations

import json

from nebari_mlflow_server.asgi import App, Message, Receive, Scope, Send

SETTINGS = {
    "mlflow.settings.telemetry.enabled_v1": "false",
    "mlflow.telemetry.info.alert.dismissed_v1": "true",
}
"""As the UI of MLflow 3.17 has them in the browser's storage."""

HEAD = b"<head>"
SCRIPT = (
    f"<script>try{{for(const[k,v]of Object.entries({json.dumps(SETTINGS)}))"
    "if(localStorage.getItem(k)===null)localStorage.setItem(k,v)}catch(e){}</script>"
).encode()

ASKS_FOR_CHANGE = frozenset({b"if-none-match", b"if-modified-since", b"range", b"if-range"})
TELLS_OF_FILE = frozenset({b"etag", b"last-modified", b"content-length", b"accept-ranges"})


class FirstView:
    """ASGI middleware."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        kept = [pair for pair in scope["headers"] if pair[0].lower() not in ASKS_FOR_CHANGE]
        page = Page(send)
        await self.app({**scope, "headers": kept}, receive, page.send)


class Page:
    """An answer that is held back until it is whole, if it is a page."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self._start = message
        elif message["type"] == "http.response.body" and self._start is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._end(self._start)
        else:
            await self._send(message)

    async def _end(self, start: Message) -> None:
        body = self._body.replace(HEAD, HEAD + SCRIPT, 1)
        kept = [pair for pair in start["headers"] if pair[0].lower() not in TELLS_OF_FILE]
        length = (b"content-length", str(len(body)).encode())
        await self._send({**start, "headers": [*kept, length]})
        await self._send({"type": "http.response.body", "body": body})


def _is_page(message: Message) -> bool:
    given = {name.lower(): value for name, value in message["headers"]}
    return (
        message["status"] == 200
        and given.get(b"content-type", b"").startswith(b"text/html")
        and b"content-encoding" not in given
    )
