"""One HTTP call, as the proxy hands it to a simulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """`target` is path and query as sent, header names are In-Title-Case, `client` is the caller's IP address.

    `host` is empty for a call that came without TLS.
    """

    host: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    client: str = ""

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        parsed = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        return {key: values[-1] for key, values in parsed.items()}

    @property
    def form(self) -> dict[str, str]:
        return {key: values[0] for key, values in parse_qs(self.body.decode()).items()}

    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def answer(status: int, content: Any = None, **headers: str) -> Response:
    """Return a JSON answer; header names are written with `_` for `-`."""
    body = b"" if content is None else json.dumps(content).encode()
    return Response(
        status, body, {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    )


App = Callable[[Request], Response]
