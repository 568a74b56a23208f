"""A proxy in front of the Kubernetes API that fails chosen calls, for the module and for Helm alike."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3
import yaml
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.connection import connect

if TYPE_CHECKING:
    from collections.abc import Callable

FAULTS = ("reset", "lost", "busy", "leader")  # before the server saw it, after it answered, a 429, a 500
STATUSES = {"busy": (429, "too many requests"), "leader": (500, "etcdserver: leader changed")}


class Proxy(ThreadingHTTPServer):
    """`fault(n)` says how call number n, counted from 1, shall fail; "" lets it through."""

    daemon_threads = True

    def __init__(self, fault: Callable[[int], str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
        self.upstream = connect(config["clusters"][0]["cluster"], config["users"][0]["user"], Path())
        self.fault = fault
        self.calls: list[str] = []
        self.failed = 0
        self.lock = threading.Lock()

    def __enter__(self) -> Proxy:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def kubeconfig(self, path: Path) -> str:
        """Write a kubeconfig that leads through the proxy."""
        context = {"name": "proxy", "context": {"cluster": "proxy"}}
        cluster = {"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{self.server_port}"}}
        path.write_text(yaml.safe_dump({"current-context": "proxy", "contexts": [context], "clusters": [cluster]}))
        return str(path)


class _Handler(BaseHTTPRequestHandler):
    server: Proxy

    def relay(self) -> None:
        with self.server.lock:
            self.server.calls.append(f"{self.command} {self.path}")
            fault = self.server.fault(len(self.server.calls))
            self.server.failed += bool(fault)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if fault in STATUSES:
            self.refuse(*STATUSES[fault])
        elif fault != "reset":
            self.forward(body, lost=fault == "lost")

    def forward(self, body: bytes, *, lost: bool) -> None:
        """Pass on the answer as it comes, for a watch has no end; or take it and say nothing."""
        kept = {name: value for name, value in self.headers.items() if name not in {"Host", "Accept-Encoding"}}
        headers = urllib3.HTTPHeaderDict(kept)
        self.server.upstream.authorize(headers)
        answer: Any = self.server.upstream.pool.request(
            self.command,
            self.server.upstream.server + self.path,
            body=body or None,
            headers=headers,
            preload_content=False,
            retries=False,
        )
        if lost:
            answer.read()
            return
        self.send_response_only(answer.status)
        for name in ("Content-Type", "Date", "Retry-After"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.end_headers()
        for chunk in answer.stream(65536):
            self.wfile.write(chunk)
            self.wfile.flush()

    def refuse(self, status: int, message: str) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(
            json.dumps({"kind": "Status", "apiVersion": "v1", "code": status, "message": message}).encode()
        )

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = relay  # noqa: N815 (the names that http.server asks for)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
