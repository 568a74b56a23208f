"""The scripts that the chart takes along: what they decide, and what they say when something is wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mlflow_schema
import pytest
import verify
from mlflow_schema import Migrations, SchemaError, State

MIGRATIONS = Migrations(frozenset({"a1", "b2", "c3"}), "c3")
TABLES = frozenset({"experiments", "runs", "tags"})


@pytest.mark.parametrize(
    ("revision", "tables", "state"),
    [
        ("c3", TABLES, State.CURRENT),
        ("a1", TABLES, State.BEHIND),
        ("d4", TABLES, State.AHEAD),
        (None, frozenset(), State.EMPTY),
        (None, frozenset({"alembic_version"}), State.EMPTY),
        (None, TABLES, State.BEHIND),
        (None, frozenset({"orders"}), State.FOREIGN),
        ("b9", frozenset({"dag", "alembic_version"}), State.FOREIGN),
        ("b9", frozenset({"alembic_version"}), State.FOREIGN),
        ("c3", TABLES | {"orders"}, State.CURRENT),
    ],
)
def test_how_a_database_stands_to_the_image(revision: str | None, tables: frozenset[str], state: State) -> None:
    assert mlflow_schema.judge(revision, tables, MIGRATIONS) is state


def write(directory: Path, **migrations: str) -> None:
    for name, text in migrations.items():
        (directory / f"{name}.py").write_text(f'"""Comment.\n\nRevises: x\n"""\n{text}\n', encoding="utf-8")


def test_migrations_are_read_without_being_run(tmp_path: Path) -> None:
    write(
        tmp_path,
        first='revision = "a1"\ndown_revision = None\nraise RuntimeError',
        second="revision: str = 'b2'\ndown_revision: str | None = 'a1'",
        third='revision = "b3"\ndown_revision = "a1"',
        merge='revision = "c3"\ndown_revision = ("b2", "b3")',
    )
    assert mlflow_schema.read_migrations(tmp_path) == Migrations(frozenset({"a1", "b2", "b3", "c3"}), "c3")


def test_migrations_with_two_heads_are_refused(tmp_path: Path) -> None:
    write(tmp_path, first='revision = "a1"\ndown_revision = None', second='revision = "b2"\ndown_revision = None')
    with pytest.raises(SchemaError, match="2 migrations with 2 heads"):
        mlflow_schema.read_migrations(tmp_path)


@pytest.mark.parametrize("uri", ["mysql+pymysql://u:secret@h/d", "sqlite:///x", "u:secret@h/d"])
def test_other_databases_are_refused_without_their_password(uri: str) -> None:
    with pytest.raises(SchemaError, match="only PostgreSQL is supported") as refused:
        mlflow_schema.parameters(uri)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SchemaError("A wrong password."), 78, "ERROR: A wrong password.\n"),
        (TimeoutError("No database."), 1, "ERROR: No database. Waited 0 s.\n"),
        (None, 0, ""),
    ],
    ids=["another try would not help", "the time is up", "done"],
)
def test_the_exit_code_says_whether_another_try_makes_sense(
    error: Exception | None, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(_database: object, _clock: object) -> None:
        if error:
            raise error

    monkeypatch.setattr(mlflow_schema, "connect", lambda _clock: None)
    assert mlflow_schema.run(work) == code
    assert capsys.readouterr().out == said


def test_progress_is_told_when_it_changes(capsys: pytest.CaptureFixture[str]) -> None:
    clock = mlflow_schema.Clock(60)
    for message in ("one", "one", "two", "two"):
        clock.tell(message)
    assert capsys.readouterr().out.splitlines() == ["one (0 s of 60 s)", "two (0 s of 60 s)"]


RUN = {
    "info": {"run_id": "r1", "artifact_uri": "mlflow-artifacts:/1/r1/artifacts", "status": "FINISHED"},
    "data": {"metrics": [{"value": 42.0}], "params": [{"value": "does it work"}]},
}
ANSWERS: dict[str, Any] = {
    "experiments/search": {},
    "experiments/get-by-name": {"experiment": {"experiment_id": "1", "lifecycle_stage": "active"}},
    "runs/create": {"run": RUN},
    "runs/get": {"run": RUN},
    "model-versions/create": {"model_version": {"version": "3"}},
    "model-versions/get": {"model_version": {"version": "3", "status": "READY", "run_id": "r1"}},
}


class Fake(ThreadingHTTPServer):
    """A server that answers like MLflow, except where `broken` names a path and what it does instead."""

    def __init__(self, broken: dict[str, tuple[int, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.broken = broken
        self.stored: dict[str, bytes] = {}
        self.seen: list[str] = []

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Fake

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        endpoint = path.removeprefix("/api/2.0/mlflow/")
        if "mlflow-artifacts" in path:
            endpoint = f"{self.command} artifact"
        self.server.seen.append(endpoint)
        status, content = 200, json.dumps(ANSWERS.get(endpoint, {})).encode()
        if endpoint == "PUT artifact":
            self.server.stored[path] = body
        elif endpoint == "GET artifact":
            content = self.server.stored[path]
        status, content = self.server.broken.get(endpoint, (status, content))
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def fake() -> Iterator[Callable[..., Fake]]:
    started: list[Fake] = []

    def start(**broken: tuple[int, bytes]) -> Fake:
        found = Fake(
            {
                name.replace("__", "/").replace("_", "-").replace("-artifact", " artifact"): what
                for name, what in broken.items()
            }
        )
        threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
        started.append(found)
        return found

    yield start
    for each in started:
        each.shutdown()
        each.server_close()


def test_verify_uses_everything_and_cleans_up(fake: Callable[..., Fake]) -> None:
    server = fake()
    result = verify.verify(verify.Server(server.uri), 5)
    assert result == {
        "run_id": "r1",
        "artifact_uri": "mlflow-artifacts:/1/r1/artifacts",
        "model": "nebari-mlflow-verify",
        "model_version": "3",
    }
    assert server.seen[-3:] == ["registered-models/delete", "DELETE artifact", "runs/delete"]


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ({"runs__create": (500, b"boom")}, "create run: 500 Internal Server Error: boom"),
        (
            {"experiments__search": (403, b"Invalid Host header")},
            "read experiments: 403 Forbidden: Invalid Host header",
        ),
        (
            {"runs__log_batch": (400, b'{"message": "No such table\\nSQL"}')},
            "log metric and parameter: 400 Bad Request: No such table",
        ),
        (
            {"PUT_artifact": (500, b'{"message": "AccessDenied"}')},
            "upload artifact: 500 Internal Server Error: AccessDenied",
        ),
        ({"GET_artifact": (200, b"other")}, "download artifact: other bytes came back than were uploaded"),
        ({"model_versions__create": (400, b"")}, "create model version: 400 Bad Request: no message"),
        (
            {"model_versions__get": (200, b'{"model_version": {"status": "FAILED_REGISTRATION", "run_id": "r1"}}')},
            "read model version: version 3 is FAILED_REGISTRATION, of run r1",
        ),
        ({"runs__delete": (503, b"gone")}, "delete run: 503 Service Unavailable: gone"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_verify_says_which_step_failed_in_one_line(
    fake: Callable[..., Fake],
    broken: dict[str, tuple[int, bytes]],
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", fake(**broken).uri)
    monkeypatch.setenv("TIMEOUT_SECONDS", "0")
    assert verify.main() == 1
    assert capsys.readouterr().out.splitlines() == [f"ERROR: {line}"]


def test_verify_waits_for_a_store_that_comes_late(
    fake: Callable[..., Fake], capsys: pytest.CaptureFixture[str]
) -> None:
    server = fake(PUT_artifact=(403, b'{"message": "not yet"}'))
    threading.Timer(1.5, server.broken.clear).start()
    assert verify.verify(verify.Server(server.uri), 20)["run_id"] == "r1"
    assert "waiting for the artifact store" in capsys.readouterr().out


def test_verify_says_that_nobody_answers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("TIMEOUT_SECONDS", "0")
    assert verify.main() == 1
    assert "no answer from http://127.0.0.1:9: [Errno 111] Connection refused" in capsys.readouterr().out
