"""Put MLflow's tables aside, into a schema of their own in the same database, and take them back.

An owner of a database can always do that: it needs no right to create databases, and takes no time, however large the
tables are. The schema's comment says what became of it, so that a run that is killed is finished or undone by the next.
"""

from __future__ import annotations

import json
from typing import Any

import migrate
from mlflow_schema import Database

from nebari_mlflow_backup.report import RefusedError, size
from nebari_mlflow_backup.tables import transaction

SCHEMA = migrate.ASIDE
RESTORING, DONE = "restoring", "done"

OWNED = """
SELECT c.oid::regclass::text, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind::text IN ('r', 'p', 'v', 'm', 'S')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass
                  AND d.deptype IN ('a', 'i', 'e'))
UNION ALL
SELECT p.oid::regprocedure::text, 'f' FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = %s AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
"""
KEPT = """
SELECT count(*), coalesce(sum(pg_total_relation_size(c.oid)), 0), bool_or(c.relname = 'alembic_version')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relkind::text IN ('r', 'p')
"""
DECIDE = "Delete them: nebari-mlflow restore --discard. Or take them back: nebari-mlflow restore --undo."
KINDS = {"f": "ROUTINE", "r": "TABLE", "p": "TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW", "S": "SEQUENCE"}


def find(database: Database) -> dict[str, Any] | None:
    """Say what was put aside, if anything was."""
    rows = database.query("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s", SCHEMA)
    if not rows:
        return None
    try:
        found: dict[str, Any] = json.loads(rows[0][0] or "{}")
    except ValueError:
        found = {}
    return found


def told(database: Database) -> str:
    """Say what is kept, for who decides whether it may go."""
    found = find(database) or {}
    ((number, bytes_, versions),) = database.query(KEPT, SCHEMA)
    revision = f"SELECT version_num FROM {SCHEMA}.alembic_version"  # noqa: S608 (a name of ours)
    of = "".join(f" of MLflow's schema {each}" for (each,) in (database.query(revision) if versions else []))
    return (
        f"The {number} tables{of} from before the restore of backup {found.get('restoring', 'without a name')} "
        f"({size(int(bytes_))}) are kept in the schema {SCHEMA} of the same database."
    )


def put(database: Database, identity: str) -> None:
    """Move everything aside, in one transaction."""
    schema = current(database)
    with transaction(database):
        database.query(f"CREATE SCHEMA {SCHEMA}; SELECT 1")
        _mark(database, {"state": RESTORING, "restoring": identity, "schema": schema})
        _move(database, schema, SCHEMA)


def take_back(database: Database) -> None:
    """Remove what a restore wrote and move everything back, in one transaction."""
    with transaction(database):
        _drop(database, current(database))
        _move(database, SCHEMA, current(database))
        database.query(f"DROP SCHEMA {SCHEMA}; SELECT 1")


def finish(database: Database) -> None:
    """Say that what was restored is whole. What was put aside stays."""
    found = find(database) or {}
    _mark(database, {**found, "state": DONE})


def discard(database: Database) -> None:
    """Delete what was put aside."""
    found = find(database)
    if found is None:
        return
    if found.get("state") != DONE:
        raise RefusedError(
            "A restore was cut off, and what was put aside is the only whole copy.",
            "Run the restore again, or take the copy back: nebari-mlflow restore --undo.",
        )
    with transaction(database):
        _drop(database, SCHEMA)
        database.query(f"DROP SCHEMA {SCHEMA}; SELECT 1")


def current(database: Database) -> str:
    ((name,),) = database.query("SELECT current_schema()")
    return str(name)


def _objects(database: Database, schema: str) -> list[tuple[str, str]]:
    return [(KINDS[kind], str(name)) for name, kind in database.query(OWNED, schema, schema)]


def _move(database: Database, source: str, target: str) -> None:
    for kind, name in _objects(database, source):
        database.query(f'ALTER {kind} {name} SET SCHEMA "{target}"; SELECT 1')


def _drop(database: Database, schema: str) -> None:
    for kind, name in _objects(database, schema):
        database.query(f"DROP {kind} IF EXISTS {name} CASCADE; SELECT 1")


def _mark(database: Database, state: dict[str, Any]) -> None:
    literal = json.dumps(state).replace("'", "''")
    database.query(f"COMMENT ON SCHEMA {SCHEMA} IS '{literal}'; SELECT 1")
