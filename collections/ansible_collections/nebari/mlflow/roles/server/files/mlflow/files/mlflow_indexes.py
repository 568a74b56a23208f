"""Give MLflow's tables the indexes that its searches lack, while the server runs.

MLflow sorts all runs of an experiment to show the newest hundred. These indexes have its own ORDER BY as expressions,
so PostgreSQL (16 or newer; older ones with a parallel plan) reads those hundred alone, whatever the number of runs.
Nothing depends on them: what goes wrong here is told, and the server works without.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from mlflow_schema import Clock, Database

PREFIX = "nebari_mlflow_"
LOCK = 7_310_583_017_244_823
"""Key of the advisory lock of whoever creates indexes."""

SESSION = "mlflow-indexes"
"""Name by which a migration, which must not wait for an index, finds the session."""

SETTINGS = (f"SET application_name = '{SESSION}'", "SET statement_timeout = 0", "SET maintenance_work_mem = '128MB'")
WITHOUT_LIMIT = (
    "SELECT set_config(name, '0', true) FROM pg_settings "
    "WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')"
)


@dataclass(frozen=True)
class Index:
    """An index of ours. A changed definition needs another name: what has the prefix and is not listed is dropped."""

    name: str
    table: str
    definition: str

    @property
    def full_name(self) -> str:
        return f"{PREFIX}{self.name}"

    @property
    def statement(self) -> str:
        return f"CREATE INDEX CONCURRENTLY {self.full_name} ON {self.table} {self.definition}"


def _no(column: str) -> str:
    """Write MLflow's way of sorting rows without a value to the end."""
    return f"(CASE WHEN {column} IS NULL THEN 1 ELSE 0 END)"


_NEWEST = f"{_no('start_time')}, start_time DESC, run_uuid"
_MODELS = f"{_no('creation_timestamp_ms')}, creation_timestamp_ms DESC, model_id"

INDEXES = (
    # The UI's order, in one experiment and in several, and the clients' own without order_by.
    Index("runs_newest_1", "runs", f"({_NEWEST}, experiment_id, lifecycle_stage)"),
    Index("runs_newest_here_1", "runs", f"(experiment_id, lifecycle_stage, {_NEWEST})"),
    Index("runs_start_1", "runs", "(start_time DESC, run_uuid, experiment_id, lifecycle_stage)"),
    Index("runs_start_here_1", "runs", "(experiment_id, lifecycle_stage, start_time DESC, run_uuid)"),
    # metrics.x > 0.9
    Index("latest_value_1", "latest_metrics", "(key, value, run_uuid) WHERE is_nan = false"),
    # tags.x = 'a', params.x = 'a', and the children of a run. Values have up to 8000 bytes, which a B-tree refuses.
    Index("tags_value_1", "tags", "USING spgist (value)"),
    Index("params_value_1", "params", "USING spgist (value)"),
    # The models of an experiment, which have no index but their key, and the versions that came from a run.
    Index("models_newest_1", "logged_models", f"(experiment_id, {_MODELS})"),
    Index("models_created_1", "logged_models", "(experiment_id, creation_timestamp_ms DESC, model_id)"),
    Index("versions_run_1", "model_versions", "(run_id)"),
)

FOUND = """
SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (current_schemas(false)) AND c.relname LIKE %s
"""


def ensure(database: Database, clock: Clock) -> None:
    """Create what is missing, and drop what a killed run or an earlier version left."""
    if os.environ.get("INDEXES", "true") != "true":
        print("indexes: none wanted", flush=True)
        return
    found, kept = _state(database)
    if set(found) == kept and len(kept) == len(INDEXES):
        print(f"indexes: {len(kept)} kept", flush=True)
        return
    with _alone(database, clock) as alone:
        if alone:
            _complete(database)


@contextmanager
def _alone(database: Database, clock: Clock) -> Iterator[bool]:
    """Hold the lock in a transaction of another connection, which a pooler leaves to one client; a session it does not.

    The session of a run that was killed goes on until its index is done. To wait inside of the database would hold that
    index up, which waits for every statement; between two statements this transaction holds nothing that it waits for.
    """
    with closing(database.another()) as connection, connection.cursor() as cursor:
        while True:
            cursor.execute(WITHOUT_LIMIT)
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", (LOCK,))
            if cursor.fetchone()[0]:
                break
            connection.rollback()
            if clock.expired():
                print(
                    "indexes: WARNING: another session has created them all the time; the next run looks again",
                    flush=True,
                )
                yield False
                return
            clock.tell("indexes: waiting for another session that creates them")
            time.sleep(1)
        yield True
        connection.rollback()


def _complete(database: Database) -> None:
    # A pooler would give the settings of this session to others.
    for setting in () if database.is_pooled() else SETTINGS:
        _tried(database, setting)
    found, kept = _state(database)
    for name in sorted(found.keys() - kept):
        _tried(database, f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    created = {index.table for index in INDEXES if index.full_name not in kept and _create(database, index)}
    for table in sorted(created):
        _tried(database, f"ANALYZE {table}")  # an expression has no statistics before
    print(f"indexes: {len(kept)} kept, {len(INDEXES) - len(kept)} missing, {len(created)} tables changed", flush=True)


def _state(database: Database) -> tuple[dict[str, bool], set[str]]:
    """Return the indexes with our prefix, each with whether it is valid, and those of them that stay."""
    found: dict[str, bool] = dict(database.query(FOUND, PREFIX.replace("_", r"\_") + "%"))
    return found, {index.full_name for index in INDEXES if found.get(index.full_name)}


def _create(database: Database, index: Index) -> bool:
    started = time.monotonic()
    if not _tried(database, index.statement):
        _tried(database, f"DROP INDEX CONCURRENTLY IF EXISTS {index.full_name}")
        return False
    print(f"indexes: {index.full_name} created in {time.monotonic() - started:.1f} s", flush=True)
    return True


def _tried(database: Database, statement: str) -> bool:
    """Execute a statement. A refusal is told; a lost connection is the Job's failure, which tries again."""
    with database.connection.cursor() as cursor:
        try:
            cursor.execute(statement)
        except Exception as error:
            if not _refusal(error) or database.connection.closed:
                raise
            print(f"indexes: WARNING: {statement}: {str(error).strip().splitlines()[0]}", flush=True)
            return False
    return True


def _refusal(error: Any) -> bool:
    return bool(getattr(error, "pgcode", None))
