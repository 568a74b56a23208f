"""Metrics beside MLflow's own, which count only what its Flask part answers, and know nothing of the database.

MLflow's exporter serves `/metrics` for all workers of a pod: each writes into files of one directory.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

from nebari_mlflow_server.asgi import App, Message, Receive, Scope, Send, headers

FOLDER = "prometheus_multiproc_dir"
"""Environment variable that MLflow sets for its workers if it serves metrics."""

PATH = "/metrics"
READ_AGAIN_SECONDS = 30
PATIENCE_SECONDS = 5
"""How long a scrape waits for the database. Prometheus waits 10 s for a scrape."""

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_API = re.compile(r"/(?:ajax-)?api/\d\.\d/(mlflow-artifacts|mlflow)/([a-z-]+)")
_PARTS = {
    "artifacts": "artifacts",
    "upload-artifact": "artifacts",
    "experiments": "experiments",
    "logged-models": "models",
    "metrics": "runs",
    "model-versions": "models",
    "registered-models": "models",
    "runs": "runs",
    "traces": "traces",
}
_PAGES = ("/", "/get-artifact", "/model-versions/get-artifact", "/v1/traces")


def part(path: str) -> str:
    """Return the part of MLflow that a path belongs to: one of a few names, whatever clients send."""
    if found := _API.match(path):
        return "artifacts" if found[1] == "mlflow-artifacts" else _PARTS.get(found[2], "other")
    if path in _PAGES:
        return {"/": "ui", "/v1/traces": "traces"}.get(path, "artifacts")
    return "ui" if path.startswith("/static-files/") else "other"


class Metrics:
    """ASGI middleware: time every request but those of probes and scrapers; before a scrape, read the database."""

    def __init__(
        self, app: App, observe: Callable[[str, str, float], None], read: Callable[[], Awaitable[None]]
    ) -> None:
        self.app, self.observe, self.read = app, observe, read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/health") or _is_probe(scope):
            await self.app(scope, receive, send)
        elif scope["path"] == PATH:
            await self.read()
            await self.app(scope, receive, send)
        else:
            await self._timed(scope, receive, send)

    async def _timed(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status = time.monotonic(), 500

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, seen)
        finally:
            self.observe(part(scope["path"]), str(status), time.monotonic() - started)


def _is_probe(scope: Scope) -> bool:
    return any(agent.startswith("kube-probe/") for agent in headers(scope, "user-agent"))


class Database:
    """What a scrape says of the database, read at most once in a while, by a connection outside MLflow's pools."""

    def __init__(self, values: Callable[[], None]) -> None:
        self.values = values
        self.asked = -float("inf")
        self.running: asyncio.Task[None] | None = None

    async def read(self) -> None:
        """Wait for the values, but not for long: a scrape must also say that the database does not answer."""
        if self.running is None or (self.running.done() and time.monotonic() - self.asked >= READ_AGAIN_SECONDS):
            self.asked = time.monotonic()
            self.running = asyncio.create_task(asyncio.to_thread(self.values))
        await asyncio.wait([self.running], timeout=PATIENCE_SECONDS)


SIZES = """
SELECT pg_database_size(current_database()),
       (SELECT sum(numbackends) FROM pg_stat_database),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
"""
COUNTS = """
SELECT (SELECT count(*) FROM experiments WHERE lifecycle_stage = 'active'),
       (SELECT count(*) FROM registered_models),
       count(*),
       count(DISTINCT user_id) FILTER (WHERE start_time > 1000 * extract(epoch FROM now() - interval '1 day'))
FROM runs WHERE lifecycle_stage = 'active'
"""


def add(app: Any) -> None:
    """Measure this worker if MLflow serves metrics."""
    if FOLDER not in os.environ:
        return
    from prometheus_client import Gauge, Histogram

    def gauge(name: str, text: str) -> Any:
        return Gauge(f"mlflow_{name}", text, multiprocess_mode="mostrecent")

    requests = Histogram(
        "mlflow_server_request_duration_seconds", "Time of requests.", ("part", "status"), buckets=_BUCKETS
    )
    up = gauge("database_up", "Whether the server can read its database (1) or not (0).")
    sizes = [
        gauge("database_size_bytes", "Size of the database."),
        gauge("database_connections", "Connections to the database server, of all its clients."),
        gauge("database_connections_limit", "Connections that the database server takes from ordinary users."),
    ]
    counts = [
        gauge("experiments", "Experiments that are not deleted."),
        gauge("registered_models", "Registered models."),
        gauge("runs", "Runs that are not deleted."),
        gauge("active_users", "Different users of the runs that began in the last 24 hours."),
    ]

    def values() -> None:
        from mlflow.server import BACKEND_STORE_URI_ENV_VAR
        from sqlalchemy import NullPool, create_engine, text
        from sqlalchemy.exc import SQLAlchemyError

        up_now = 0
        patient = {"connect_timeout": PATIENCE_SECONDS}
        engine = create_engine(os.environ[BACKEND_STORE_URI_ENV_VAR], poolclass=NullPool, connect_args=patient)
        try:
            with engine.connect() as connection:
                connection.execute(text(f"SET LOCAL statement_timeout = '{PATIENCE_SECONDS}s'"))
                for statement, gauges in ((SIZES, sizes), (COUNTS, counts)):
                    for each, value in zip(gauges, connection.execute(text(statement)).one(), strict=True):
                        each.set(value)
                    up_now = 1
        except SQLAlchemyError:
            pass  # the server's own log says why; counts that take too long stay as they were
        finally:
            up.set(up_now)

    def observe(part: str, status: str, seconds: float) -> None:
        requests.labels(part, status).observe(seconds)

    app.add_middleware(Metrics, observe=observe, read=Database(values).read)
