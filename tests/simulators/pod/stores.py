"""The stores that hold the data: programs on loopback, behind the simulator, which decides who comes to them."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..http import Request, Response

PATIENCE = 240  # seconds for a program to listen
OF_ONE_HOP = {"transfer-encoding", "expect", "connection", "content-length"}


@dataclass(frozen=True)
class Store:
    """A server on loopback; `context` where it speaks TLS."""

    port: int
    context: ssl.SSLContext | None = None

    def forward(self, request: Request, **headers: str) -> Response:
        """Pass a call on as it came, but for `headers`, whose names are written with `_` for `-`."""
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in request.headers.items() if name.lower() not in OF_ONE_HOP}
        connection = self._connect()
        try:
            length = {"Content-Length": str(len(request.body))}
            connection.request(request.method, request.target, request.body, {**kept, **changed, **length})
            response = connection.getresponse()
            return Response(response.status, response.read(), dict(response.getheaders()))
        finally:
            connection.close()

    def call(self, method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
        """Make a call of the simulator's own, and return the answer's body."""
        response = self.forward(Request("", method, target, {}, body), **headers)
        if response.status >= 400:
            raise RuntimeError(f"{method} {target}: {response.status} {response.body!r}")
        return response.body

    def _connect(self) -> http.client.HTTPConnection:
        if self.context is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        return http.client.HTTPSConnection("localhost", self.port, timeout=60, context=self.context)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(argv: list[str], port: int, env: Mapping[str, str] | None = None, **more: Any) -> Iterator[None]:
    """Run a program until the end of the block; enter once it listens."""
    process = subprocess.Popen(argv, env=env, **more)
    try:
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError(f"{argv[0]} does not listen: exit code {process.poll()}") from None
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)
