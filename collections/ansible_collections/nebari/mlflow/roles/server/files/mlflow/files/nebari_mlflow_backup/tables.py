"""What a database holds, as numbers that two databases can be compared by: rows and a checksum for each table."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mlflow_schema import Database

from nebari_mlflow_backup.report import Progress

LOCK = 7_310_583_017_244_822
"""Advisory lock: backups share it, and what replaces the database or clears up the store has it alone."""

COUNTED = {
    "experiments": "experiments",
    "runs": "runs",
    "metrics": "metrics",
    "logged_models": "logged_models",
    "registered_models": "registered_models",
    "model_versions": "model_versions",
    "trace_info": "traces",
}
"""Tables that a person knows, and what they are called."""

CONTENT = """
SELECT count(*), coalesce(sum(('x' || left(md5(t::text), 15))::bit(60)::bigint), 0)::text FROM {table} t
"""

TABLES = """
SELECT quote_ident(tablename), tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename
"""

SETTINGS = {"datestyle": "ISO", "timezone": "UTC", "extra_float_digits": "1", "bytea_output": "hex"}
"""On what a row's text depends."""

Numbers = dict[str, dict[str, Any]]


@contextmanager
def locked(database: Database, progress: Progress, *, shared: bool, patience: float = 600.0) -> Iterator[None]:
    """Hold the lock in a transaction of its own: a pooler that keeps no sessions keeps that. It holds no snapshot."""
    kind = "_shared" if shared else ""
    end = progress.elapsed() + patience
    with transaction(database, "ISOLATION LEVEL READ COMMITTED"):
        database.query("SELECT set_config('idle_in_transaction_session_timeout', '0', true)")
        while not database.query(f"SELECT pg_try_advisory_xact_lock{kind}(%s)", LOCK)[0][0]:
            if progress.elapsed() > end:
                raise TimeoutError("Another backup, restore or clean-up of this deployment is still running.")
            progress.say("waiting for another backup, restore or clean-up of this deployment")
            time.sleep(1)
        yield


@contextmanager
def snapshot(database: Database) -> Iterator[str]:
    """Hold one snapshot, which other connections can take part in by its name."""
    with transaction(database, "ISOLATION LEVEL REPEATABLE READ READ ONLY"):
        database.query("SELECT set_config('idle_in_transaction_session_timeout', '0', true)")
        yield str(database.query("SELECT pg_export_snapshot()")[0][0])


@contextmanager
def transaction(database: Database, mode: str = "") -> Iterator[None]:
    """Run a transaction: what raises undoes it."""
    with database.connection.cursor() as cursor:
        cursor.execute(f"BEGIN {mode}")
        try:
            yield
        except BaseException:
            if not database.connection.closed:
                cursor.execute("ROLLBACK")
            raise
        cursor.execute("COMMIT")


def read(database: Database, only: Collection[str] = ()) -> Numbers:
    """Count rows and compute a checksum of each table, in whatever order its rows are. Call it in a transaction."""
    found: Numbers = {}
    for name, value in SETTINGS.items():
        database.query("SELECT set_config(%s, %s, true)", name, value)
    for quoted, name in database.query(TABLES):
        if only and name not in only:
            continue
        ((rows, checksum),) = database.query(CONTENT.format(table=quoted))
        found[str(name)] = {"rows": int(rows), "checksum": str(checksum)}
    return found


def counts(numbers: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Return the numbers of what a person knows."""
    return {word: int(numbers[table]["rows"]) for table, word in COUNTED.items() if table in numbers}


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Say in which tables two databases differ."""
    said = []
    for name in sorted({*expected, *found}):
        here, there = expected.get(name), found.get(name)
        if here is None or there is None:
            said.append(f"table {name} is {'not in the backup' if here is None else 'missing'}")
        elif here["rows"] != there["rows"]:
            said.append(f"table {name} has {there['rows']} rows instead of {here['rows']}")
        elif here["checksum"] != there["checksum"]:
            said.append(f"table {name} has other contents")
    return said
