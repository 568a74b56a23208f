"""What a restore puts aside comes back, whatever ended: the restore, its pod, or the database."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import migrate
import pytest
import wait_for_schema
from mlflow_schema import State
from nebari_mlflow_backup import aside, restore
from nebari_mlflow_backup.report import Progress


class LostError(Exception):
    """As psycopg2's, of a connection that has ended."""


class Database:
    """Answers only if its connection is alive."""

    def __init__(self, *, alive: bool = True, state: str | None = None) -> None:
        self.alive, self.state = alive, state
        self.taken_back = False

    def query(self, statement: str, *_: object) -> list[tuple[Any, ...]]:
        if not self.alive:
            raise LostError
        if "obj_description" in statement:
            return [] if self.state is None else [(json.dumps({"state": self.state}),)]
        return [(1,)]


@pytest.fixture(autouse=True)
def replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def take_back(database: Database) -> None:
        database.query("ALTER TABLE …")
        database.taken_back = True

    monkeypatch.setattr(aside, "take_back", take_back)
    monkeypatch.setattr(restore, "driver", lambda: SimpleNamespace(Error=LostError))


def failing(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("alive", [True, False], ids=["connection lives", "connection is lost"])
def test_a_failed_restore_takes_the_tables_back(alive: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    database, again = Database(), Database()
    monkeypatch.setattr(restore, "connect", lambda _clock: again)
    monkeypatch.setattr(restore, "_checked", lambda *_: {"id": "a"})
    monkeypatch.setattr(restore, "_counts", lambda _: {})
    monkeypatch.setattr(migrate, "wait_for_writers", lambda *_: None)

    def put(*_: object) -> None:
        database.alive = alive

    monkeypatch.setattr(aside, "put", put)
    monkeypatch.setattr(restore, "_load", failing(LostError("server closed the connection unexpectedly")))
    with pytest.raises(LostError, match="closed the connection"):
        restore.restore(database, None, None, Progress(), "a", replace=True)  # type: ignore[arg-type]
    assert (database.taken_back, again.taken_back) == (alive, not alive)


@pytest.mark.parametrize(
    ("state", "recovered"),
    [(None, False), (aside.DONE, False), (aside.RESTORING, True)],
    ids=["nothing is aside", "the restore had ended", "the restore was cut off"],
)
def test_only_a_restore_that_was_cut_off_is_recovered(state: str | None, recovered: bool) -> None:
    database = Database(state=state)
    found = restore.recover(database, Progress())  # type: ignore[arg-type]
    assert (found["recovered"], database.taken_back) == (recovered, recovered)


@pytest.mark.parametrize(
    ("restoring", "words"),
    [(True, "waiting for a restore that runs, or was cut off"), (False, "waiting for the migration Job")],
)
def test_a_server_says_what_it_waits_for(restoring: bool, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "restoring", lambda _: restoring)
    told: list[str] = []
    database = SimpleNamespace(
        state=lambda: State.EMPTY, revision=lambda: None, migrations=SimpleNamespace(head="b"), query=lambda *_: []
    )
    clock = SimpleNamespace(expired=lambda: True, tell=told.append)
    with pytest.raises(TimeoutError, match="waiting") as raised:
        wait_for_schema.wait(database, clock)  # type: ignore[arg-type]
    assert words in str(raised.value)
