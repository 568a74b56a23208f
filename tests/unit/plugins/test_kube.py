"""Requests against a real HTTP server that misbehaves."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import pytest
import yaml
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ApiError, ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.kube import api as kube
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.api import Api


class Server(ThreadingHTTPServer):
    """Gives one prepared answer after the other: a status and a body, or None to drop the connection."""

    answers: list[tuple[int, Any] | None]
    seen: list[str]
    skew = timedelta()


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append(f"{self.command} {self.path}")
        answer = self.server.answers.pop(0) if self.server.answers else (200, {})
        if answer is None:
            self.close_connection = True
            self.connection.close()
            return
        body = json.dumps(answer[1]).encode()
        self.send_response_only(answer[0])
        self.send_header("Date", format_datetime(datetime.now(UTC) + self.server.skew, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 (the names that http.server asks for)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as found:
        found.answers, found.seen = [], []
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def kubeconfig(folder: Path, server: str) -> Path:
    path = folder / "config"
    contexts = [{"name": "a", "context": {"cluster": "c"}}]
    clusters = [{"name": "c", "cluster": {"server": server}}]
    path.write_text(yaml.safe_dump({"contexts": contexts, "current-context": "a", "clusters": clusters}))
    return path


@pytest.fixture
def api(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setattr(kube, "RETRY_FOR", 3.0)
    monkeypatch.setattr(kube, "LONGEST_PAUSE", 0.05)
    found = Api(str(kubeconfig(tmp_path, f"http://127.0.0.1:{server.server_port}")), "")
    found.request("GET", "/version")
    server.seen.clear()
    return found


BUSY = (500, {"kind": "Status", "message": "etcdserver: leader changed"})


def test_transient_failures_are_sent_again(api: Api, server: Server) -> None:
    server.answers = [(429, {}), None, BUSY, (503, {}), (200, {"ok": True})]
    assert api.request("GET", "/x") == {"ok": True}
    assert server.seen == ["GET /x"] * 5


def test_other_failures_are_not(api: Api, server: Server) -> None:
    server.answers = [(500, {"message": "nil pointer"})]
    with pytest.raises(ApiError, match="nil pointer"):
        api.request("GET", "/x")
    assert server.seen == ["GET /x"]


def test_it_gives_up_in_time(api: Api, server: Server) -> None:
    server.answers = [(503, {"message": "no"})] * 1000
    with pytest.raises(ApiError, match="503"):
        api.request("GET", "/x")
    assert 3 < len(server.seen) < 1000


def test_absence_is_no_error(api: Api, server: Server) -> None:
    server.answers = [(404, {"message": "none"}), (404, {"message": "none"})]
    assert api.find("/x") is None
    assert api.delete("/x") is False


def test_the_clock_is_the_servers(api: Api, server: Server) -> None:
    server.skew = timedelta(hours=2)
    api.request("GET", "/x")
    assert abs(api.now() - datetime.now(UTC) - timedelta(hours=2)) < timedelta(seconds=2)


@pytest.mark.parametrize(("alert", "waits"), [(50, True), (80, True), (40, False)])
def test_a_handshake_that_a_busy_server_gives_up_is_tried_again(
    alert: int, waits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alerts of RFC 8446, 6.2: decode_error (50), internal_error (80), handshake_failure (40)."""
    monkeypatch.setattr(kube, "RETRY_FOR", 0.5)
    monkeypatch.setattr(kube, "LONGEST_PAUSE", 0.05)
    connections = 0

    class GivesUp(BaseRequestHandler):
        def handle(self) -> None:
            nonlocal connections
            connections += 1
            self.request.recv(65536)
            self.request.sendall(bytes([21, 3, 3, 0, 2, 2, alert]))

    with ThreadingTCPServer(("127.0.0.1", 0), GivesUp) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(ReleaseError, match="does not speak TLS"):
            Api(str(kubeconfig(tmp_path, f"https://127.0.0.1:{server.server_address[1]}")), "").request(
                "GET", "/version"
            )
        server.shutdown()
    assert (connections > 1) is waits


def test_a_server_that_was_never_reached_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="refuses connections"):
        Api(str(kubeconfig(tmp_path, "http://127.0.0.1:1")), "").request("GET", "/version")
