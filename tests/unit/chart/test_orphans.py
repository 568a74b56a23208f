"""Artifacts that belong to nothing in the database are listed, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlflow_schema import Database, Migrations
from nebari_mlflow_backup import orphans
from nebari_mlflow_backup.report import Progress
from nebari_mlflow_backup.store import Store

KNOWN, LOST = "0" * 32, "1" * 32
ROWS = {"runs": {KNOWN}, "logged_models": {"m-known"}, "trace_info": {"tr-known"}}


class Tables(Database):
    """A database that knows these rows."""

    def __init__(self) -> None:
        super().__init__(None, Migrations(frozenset(), ""))

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        (table,) = [name for name in ROWS if f"FROM {name} " in statement]
        (names,) = values
        assert isinstance(names, list)
        return [(name,) for name in names if name in ROWS[table]]


def fill(root: Path, *paths: str) -> Store:
    for path in paths:
        (root / path).mkdir(parents=True)
        (root / path / "file").write_text("x")
    return Store(str(root))


def test_folders_without_a_row_are_listed_by_kind(tmp_path: Path) -> None:
    store = fill(
        tmp_path,
        f"3/{KNOWN}/artifacts",
        f"3/{LOST}/artifacts",
        "3/models/m-known/artifacts",
        "3/models/m-lost/artifacts",
        "12/traces/tr-known/artifacts",
        "12/traces/tr-lost/artifacts",
        "12/something-else",  # not MLflow's
        f"backups/{LOST}",
    )
    found = orphans.find(Tables(), store, Progress()).report()
    assert found["orphans"] == {"runs": 1, "logged_models": 1, "traces": 1}
    assert found["orphan_paths"] == ["12/traces/tr-lost", f"3/{LOST}", "3/models/m-lost"]


def test_an_empty_store_has_none(tmp_path: Path) -> None:
    assert orphans.find(Tables(), Store(str(tmp_path)), Progress()).report()["orphan_paths"] == []


def test_many_are_counted_and_twenty_shown(tmp_path: Path) -> None:
    store = fill(tmp_path, *(f"3/{number:032x}/artifacts" for number in range(1, 41)))
    found = orphans.find(Tables(), store, Progress()).report()
    assert found["orphans"]["runs"] == 40
    assert len(found["orphan_paths"]) == 20
