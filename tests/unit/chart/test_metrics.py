"""What the server measures: which requests, under which names, and how patiently a scrape waits for the database."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from nebari_mlflow_server import metrics
from nebari_mlflow_server.metrics import Database, Metrics, part


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/2.0/mlflow/runs/log-batch", "runs"),
        ("/ajax-api/2.0/mlflow/runs/search", "runs"),
        ("/ajax-api/2.0/mlflow/metrics/get-history-bulk", "runs"),
        ("/api/2.0/mlflow/experiments/search", "experiments"),
        ("/api/2.0/mlflow/registered-models/create", "models"),
        ("/api/2.0/mlflow/logged-models/m-1", "models"),
        ("/api/3.0/mlflow/traces/tr-1", "traces"),
        ("/v1/traces", "traces"),
        ("/api/2.0/mlflow-artifacts/artifacts/1/2/x", "artifacts"),
        ("/api/2.0/mlflow/artifacts/list", "artifacts"),
        ("/get-artifact", "artifacts"),
        ("/", "ui"),
        ("/static-files/main.js", "ui"),
        ("/graphql", "other"),
        ("/api/2.0/mlflow/invented-by-a-client", "other"),
        ("/../etc/passwd", "other"),
    ],
)
def test_paths_belong_to_one_of_a_few_parts(path: str, name: str) -> None:
    assert part(path) == name


class Server:
    """What the middleware is given; it notes what happens."""

    def __init__(self, status: int | None = 200) -> None:
        self.status, self.seen, self.reads = status, [], 0
        self.middleware = Metrics(self.app, self.observe, self.read)

    seen: list[tuple[str, str]]

    async def app(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002
        if self.status is None:
            raise RuntimeError
        await send({"type": "http.response.start", "status": self.status, "headers": []})

    def observe(self, name: str, status: str, seconds: float) -> None:
        assert 0 <= seconds < 60
        self.seen.append((name, status))

    async def read(self) -> None:
        self.reads += 1

    def get(self, path: str, agent: str = "python") -> None:
        async def ignored(*_: Any) -> Any:
            return None

        scope = {"type": "http", "path": path, "headers": [(b"User-Agent", agent.encode())]}
        asyncio.run(self.middleware(scope, ignored, ignored))


def test_requests_are_counted_with_their_status() -> None:
    for status in (200, 403, 503):
        server = Server(status)
        server.get("/api/2.0/mlflow/runs/get")
        assert server.seen == [("runs", str(status))]


def test_a_request_that_breaks_counts_as_500() -> None:
    server = Server(None)
    with pytest.raises(RuntimeError):
        server.get("/graphql")
    assert server.seen == [("other", "500")]


@pytest.mark.parametrize(
    ("path", "agent"),
    [("/health", "x"), ("/health/ready", "x"), ("/metrics", "x"), ("/api/2.0/mlflow/runs/get", "kube-probe/1.34")],
)
def test_probes_and_scrapes_are_not_counted(path: str, agent: str) -> None:
    server = Server()
    server.get(path, agent)
    assert (server.seen, server.reads) == ([], int(path == "/metrics"))


def test_scrapes_read_the_database_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    async def scrapes() -> None:
        database = Database(lambda: calls.append(1))
        await database.read()
        await database.read()
        assert len(calls) == 1
        monkeypatch.setattr(metrics, "READ_AGAIN_SECONDS", 0)
        await database.read()
        assert len(calls) == 2

    asyncio.run(scrapes())


def test_a_database_that_hangs_holds_no_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(metrics, "READ_AGAIN_SECONDS", 0)
    answers, calls = threading.Event(), []

    def hang() -> None:
        calls.append(1)
        answers.wait(10)

    async def scrapes() -> None:
        database = Database(hang)
        await database.read()
        await database.read()
        assert len(calls) == 1, "a second question while the first is open"
        answers.set()

    asyncio.run(scrapes())
