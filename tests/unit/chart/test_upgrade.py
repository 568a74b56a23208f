"""What an upgrade of the database decides: what is, what is wanted, and what follows."""

from __future__ import annotations

from pathlib import Path

import mlflow_schema
import pytest
from mlflow_schema import Migrations, State
from nebari_mlflow_backup import upgrade
from nebari_mlflow_backup.report import RefusedError
from nebari_mlflow_backup.store import IN_DATABASE
from nebari_mlflow_backup.upgrade import Act

OLD = Migrations(frozenset({"a", "b"}), "b")
NEW = Migrations(frozenset({"a", "b", "c"}), "c")


@pytest.mark.parametrize(
    ("state", "before", "wanted", "acts"),
    [
        # the database, the schema before an upgrade that was cut off, the version that is wanted -> what follows
        (State.CURRENT, None, NEW, (Act.DEPLOY, Act.DEPLOY)),
        (State.EMPTY, None, NEW, (Act.DEPLOY, Act.DEPLOY)),
        (State.BEHIND, None, NEW, (Act.UPGRADE, Act.DEPLOY)),
        (State.BEHIND, "b", NEW, (Act.UPGRADE, Act.DEPLOY)),  # cut off before the migration
        (State.CURRENT, "b", NEW, (Act.DEPLOY, Act.DEPLOY)),  # cut off after it
        (State.CURRENT, "b", OLD, (Act.DEPLOY, Act.DEPLOY)),  # given up before the migration
        (State.AHEAD, "b", OLD, (Act.GO_BACK, Act.DEPLOY)),  # given up after it
        (State.AHEAD, "a", OLD, (Act.GO_BACK, Act.UPGRADE)),  # for a version between the two
        (State.AHEAD, None, OLD, (Act.DEPLOY, Act.DEPLOY)),  # refused by what examines it
        (State.AHEAD, "c", OLD, (Act.DEPLOY, Act.DEPLOY)),  # the backup is of a newer version, too
        (State.FOREIGN, None, NEW, (Act.DEPLOY, Act.DEPLOY)),  # refused
    ],
)
def test_what_follows_from_database_and_version(
    state: State, before: str | None, wanted: Migrations, acts: tuple[Act, Act]
) -> None:
    assert upgrade.decide(state, before, wanted) == acts


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"BACKUP_DESTINATION": "s3://b/x", "BACKUP_OF": "dev/one"}, "s3://b/x/dev/one"),
        ({"BACKUP_DESTINATION": "/mlflow/backups", "BACKUP_OF": "dev/one"}, "/mlflow/backups/dev/one"),
        ({"ARTIFACTS_DESTINATION": "/mlflow/artifacts", "BACKUP_OF": "dev/one"}, IN_DATABASE),
        ({"ARTIFACTS_DESTINATION": "s3://bucket", "BACKUP_OF": "dev/one"}, IN_DATABASE),
    ],
)
def test_a_backup_goes_where_backups_go_or_into_the_database(environ: dict[str, str], place: str) -> None:
    assert upgrade.place(environ) == place


@pytest.mark.parametrize(
    ("text", "number"),
    [("10Gi", 10 * 2**30), ("1.5G", 1_500_000_000), ("500", 500), ("1Ti", 2**40), ("", None), ("ten", None)],
)
def test_sizes_are_read_as_kubernetes_writes_them(text: str, number: int | None) -> None:
    assert upgrade.number(text) == number


def test_room_is_asked_where_it_can_be_known(tmp_path: Path) -> None:
    assert upgrade.room(IN_DATABASE, 2**30, {"DATABASE_VOLUME": "10Gi"}) == 9 * 2**30
    assert upgrade.room(IN_DATABASE, 20 * 2**30, {"DATABASE_VOLUME": "10Gi"}) == 0
    assert upgrade.room(IN_DATABASE, 2**30, {}) is None
    assert upgrade.room("s3://bucket/backups", 2**30, {}) is None
    assert (upgrade.room(str(tmp_path / "not/yet/there"), 0, {}) or 0) > 0


def test_no_room_is_refused_with_the_key_to_change() -> None:
    upgrade.refuse_room("s3://bucket", 2**40, None)
    upgrade.refuse_room(IN_DATABASE, 2**30, 2**30)
    with pytest.raises(RefusedError, match=r"Nothing was changed.*postgresql\.primary\.persistence\.size"):
        upgrade.refuse_room(IN_DATABASE, 8 * 2**30, 2 * 2**30)
    with pytest.raises(RefusedError, match=r"backup\.volume\.size"):
        upgrade.refuse_room("/mlflow/backups", 8 * 2**30, 2 * 2**30)


def test_a_larger_database_is_announced_with_more_downtime() -> None:
    assert upgrade.downtime(0) == 60
    assert 100 < upgrade.downtime(2**30) < 120


def test_a_failed_statement_is_told_in_postgresqls_words() -> None:
    class OfDatabase(Exception):
        pgcode = "42P07"

    wrapped = RuntimeError("(psycopg2.errors.DuplicateTable) [SQL: CREATE TABLE x]")
    wrapped.__cause__ = OfDatabase('relation "x" already exists\nmore')
    assert mlflow_schema.said_by(wrapped) == 'relation "x" already exists'
    assert mlflow_schema.said_by(ValueError("no\nmore")) == "ValueError: no"
