"""A CONNECT proxy that ends TLS itself, refuses every host it does not know, and records each call."""

from __future__ import annotations

import fnmatch
import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .authority import Authority
from .http import App, Request, Response


@dataclass
class Fault:
    """What happens to the calls that `match`, `times` times.

    `before` cuts the connection before the simulator sees the call, `after` once it has carried it out;
    a function gives the answer, instead of the simulator.
    """

    match: Callable[[Request], bool]
    effect: str | Callable[[Request], Response]
    times: int = 1
    hits: int = 0

    def takes(self, request: Request) -> bool:
        if self.hits >= self.times or not self.match(request):
            return False
        self.hits += 1
        return True


@dataclass
class Call:
    """One recorded call; `action` is the cloud's own name for it, `client` the caller's IP address."""

    action: str
    write: bool
    method: str
    host: str
    target: str
    status: int
    client: str = ""


@dataclass
class Cloud:
    """A simulator: its hosts, the app that answers, how its calls are named, and which of its hosts are in the DNS.

    `plain` answers calls that come without TLS.
    """

    hosts: tuple[str, ...]
    app: App
    name: Callable[[Request], tuple[str, bool]]
    resolves: Callable[[str], bool] = lambda _: True
    plain: App | None = None
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def writes(self) -> list[str]:
        return [call.action for call in self.calls if call.write]

    def clear(self) -> None:
        self.calls.clear()
        self.faults.clear()


class Proxy:
    """Listens while it is entered. `refused` are the hosts that somebody asked for in vain."""

    def __init__(self, cloud: Cloud, folder: Path, port: int = 0, address: str = "127.0.0.1") -> None:
        self.cloud = cloud
        self.authority = Authority(folder)
        self.refused: list[str] = []
        self._log = folder / "calls.jsonl"
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((address, port), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def knows(self, host: str, client: str) -> bool:
        known = any(fnmatch.fnmatchcase(host, pattern) for pattern in self.cloud.hosts)
        if not known:
            self.refused.append(host)
            self._write(Call("refused", True, "CONNECT", host, "", 403, client))
        return known

    def carry_out(self, request: Request) -> Response | None:
        """Answer a call, or return None where the connection is to be cut."""
        action, write = self.cloud.name(request) if request.host else ("plain", False)
        with self._lock:
            fault = next((each for each in self.cloud.faults if each.takes(request)), None)
            call = Call(action, write, request.method, request.host, request.target, 0, request.client)
            self.cloud.calls.append(call)
        response: Response | None = None
        if fault is None or fault.effect == "after":
            app = self.cloud.app if request.host else self.cloud.plain
            assert app is not None
            response = app(request)
        if fault is not None:
            response = None if isinstance(fault.effect, str) else fault.effect(request)
        call.status = response.status if response else -1
        self._write(call)
        return response

    def _write(self, call: Call) -> None:
        with self._lock, self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(vars(call)) + "\n")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each answer waits 40 ms for the client's acknowledgement
            tunnel = ""

            def do_CONNECT(self) -> None:
                host = self.path.rpartition(":")[0]
                if not proxy.knows(host, self.client_address[0]):
                    self.send_error(403, f"{host} is not a simulated host")
                    return
                if not proxy.cloud.resolves(host):
                    self.send_error(502, f"{host}: name or service not known")
                    return
                self.send_response(200, "Connection established")
                self.end_headers()
                try:
                    self.connection = proxy.authority.context(host).wrap_socket(self.connection, server_side=True)
                except OSError:
                    self.close_connection = True
                    return
                self.tunnel = host
                self.rfile = self.connection.makefile("rb")
                self.wfile = self.connection.makefile("wb", buffering=0)
                self.close_connection = False

            def call(self) -> None:
                headers = {key.title(): value for key, value in self.headers.items()}
                client = self.client_address[0]
                request = Request(self.tunnel, self.command, self.path, headers, self._body(), client)
                if not self.tunnel and proxy.cloud.plain is None:
                    proxy.refused.append(self.path)
                    self.send_error(403, "only https is simulated")
                    return
                response = proxy.carry_out(request)
                if response is None:
                    self._cut()
                    return
                self.send_response(response.status)
                for key, value in response.headers.items():
                    if key.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                        self.send_header(key, value)
                length = response.headers.get("Content-Length") if request.method == "HEAD" else None
                if response.status not in (204, 304):
                    self.send_header("Content-Length", length or str(len(response.body)))
                self.end_headers()
                if request.method != "HEAD":
                    self.wfile.write(response.body)

            do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = call  # noqa: N815 - the base class looks for these

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                while self.rfile.readline().strip():
                    pass
                return body

            def _cut(self) -> None:
                """Reset instead of closing: the client gets no answer, not an empty one."""
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

            def log_message(self, *_: Any) -> None:
                """Calls are recorded, not printed."""

        return Handler
