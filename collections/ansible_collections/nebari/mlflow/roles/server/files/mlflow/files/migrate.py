"""Bring the database to the schema of this image's MLflow. The only place that does.

Safe at any time and any number of times: an advisory lock lets one migration run, PostgreSQL undoes one that
is cut off, and MLflow's servers, which must not write meanwhile, are waited for until they have gone.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import mlflow_indexes
import mlflow_keys
import mlflow_permissions
from mlflow_schema import SERVICE, Clock, Database, SchemaError, State, driver, run, use_service

LOCK = 7_310_583_017_244_821
"""Key of the advisory lock, the same for every release; the lock belongs to one database."""

WRITERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
LATELY = " AND (state <> 'idle' OR state_change > now() - interval '20 seconds')"
"""A pooler keeps sessions of a server that has gone. One that is there asks every five seconds (readiness probe)."""

MAY_CREATE = "SELECT has_schema_privilege(current_schema(), 'CREATE')"
OTHERS = (
    "SELECT tablename, tableowner FROM pg_tables WHERE schemaname = current_schema() "
    "AND tablename IN ('alembic_version', 'experiments', 'runs') AND NOT pg_has_role(tableowner, 'USAGE')"
)
MAY_WRITE = "SELECT has_table_privilege('experiments', 'SELECT, INSERT, UPDATE, DELETE')"


ASIDE = "nebari_mlflow_before"
"""Schema into which a restore puts the present tables; its comment says whether the restore has ended."""

RESTORING = """
SELECT count(*) FROM pg_namespace WHERE nspname = %s AND position(%s in obj_description(oid, 'pg_namespace')) > 0
"""


def restoring(database: Database) -> bool:
    """Say whether the tables are not the whole of the data, because a restore has put it aside."""
    return bool(database.query(RESTORING, ASIDE, '"state": "restoring"')[0][0])


def refuse_restoring(database: Database) -> None:
    """Stop meanwhile."""
    if restoring(database):
        raise SchemaError(
            "A restore runs or was cut off, and the database's tables are put aside.",
            "Wait for it, run it again, or take them back: nebari-mlflow restore --undo.",
        )


def refuse(database: Database, state: State) -> None:
    """Stop where a migration would be wrong."""
    refuse_restoring(database)
    if state is State.AHEAD:
        raise SchemaError(
            f"The database's schema ({database.revision()}) is newer than this image's MLflow "
            f"({database.migrations.head}): MLflow cannot go back.",
            "Deploy the newer version again, or restore the backup that was made before the upgrade.",
        )
    if state is State.FOREIGN:
        some = ", ".join(sorted(database.tables())[:3])
        raise SchemaError(
            f"The database holds tables that are not MLflow's ({some}).",
            database.filled("Give MLflow a database of its own: CREATE DATABASE mlflow OWNER <user>;"),
        )


def refuse_rights(database: Database, state: State) -> None:
    """Stop where the user may not do what the migration or the server does."""
    schema, encoding = database.query("SELECT current_schema(), current_setting('server_encoding')")[0]
    if schema is None:
        raise SchemaError(
            "None of the schemas of the user's search_path exists, or the user may not use it.",
            database.filled("In MLflow's database, as its administrator: CREATE SCHEMA … AUTHORIZATION <user>;"),
        )
    if state is State.EMPTY and encoding != "UTF8":
        raise SchemaError(
            f"The database's encoding is {encoding}; MLflow needs UTF8.",
            database.filled("CREATE DATABASE <dbname> OWNER <user> ENCODING 'UTF8' TEMPLATE template0;"),
        )
    name = schema if schema == "public" or "options" not in database.hidden else "<schema>"
    if state is not State.CURRENT and not database.query(MAY_CREATE)[0][0]:
        raise SchemaError(
            f"permission denied for schema {name}: since PostgreSQL 15, only the database's owner may create tables "
            "in it.",
            database.filled(
                f"In MLflow's database, as its administrator: GRANT CREATE, USAGE ON SCHEMA {name} TO <user>; or "
                "ALTER DATABASE <dbname> OWNER TO <user>;"
            ),
        )
    if state is State.BEHIND and (others := database.query(OTHERS)):
        table, owner = others[0]
        raise SchemaError(
            f"must be owner of table {table}: it belongs to another user, and the migration changes it.",
            database.filled(f'As the administrator: GRANT "{owner}" TO <user>; or make <user> the tables\' owner.'),
        )
    if state is State.CURRENT and not database.query(MAY_WRITE)[0][0]:
        raise SchemaError(
            "permission denied for table experiments: the user may not read and write MLflow's tables.",
            database.filled(f"GRANT ALL ON ALL TABLES IN SCHEMA {name} TO <user>; or make <user> their owner."),
        )


def begin(database: Database, cursor: Any) -> None:
    """Begin a transaction. A pooler that gives each statement to another session cuts the connection off."""
    try:
        cursor.execute("SELECT 1")
    except driver().OperationalError:
        if database.is_pooled():
            raise SchemaError(
                "The pooler cut a transaction off, as PgBouncer does with pool_mode = statement.",
                "Set its pool_mode to transaction or session, or name the database itself.",
            ) from None
        raise


@contextmanager
def locked(database: Database, clock: Clock) -> Iterator[None]:
    """Hold the advisory lock; it ends with the connection, so a killed migration leaves none behind.

    It belongs to a transaction, which a pooler leaves to one client; a session it does not.
    """
    with closing(database.another()) as connection, connection.cursor() as cursor:
        begin(database, cursor)
        while True:
            cursor.execute(mlflow_indexes.WITHOUT_LIMIT)
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", (LOCK,))
            if cursor.fetchone()[0]:
                break
            connection.rollback()
            if clock.expired():
                raise TimeoutError("Another migration holds the lock.")
            clock.tell("waiting for another migration to finish")
            time.sleep(1)
        yield
        connection.rollback()


def wait_for_writers(database: Database, clock: Clock) -> None:
    """MLflow's servers of the old version must have gone: they do not know the new schema."""
    writers = WRITERS + (LATELY if database.is_pooled() else "")
    while count := database.query(writers, "mlflow-server")[0][0]:
        if clock.expired():
            message = (
                f"{count} sessions of a running server did not end. With tracking.strategy.type Recreate "
                "they do; otherwise scale the server to 0 for this upgrade."
            )
            raise TimeoutError(message)
        clock.tell(f"waiting for the running server to stop: {count} sessions")
        time.sleep(1)


def end_index_creation(database: Database) -> None:
    """End the creation of an index, which would hold the migration up. It is created again afterwards."""
    statement = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = %s"
    )
    database.query(statement, mlflow_indexes.SESSION)


@contextmanager
def heartbeat(clock: Clock, message: str) -> Iterator[None]:
    """Say every ten seconds that it goes on."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(10):
            clock.tell(message)

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def upgrade(parameters: Mapping[str, str]) -> None:
    """Run `mlflow db upgrade` inside this process, by a connection in which no password stands."""
    from mlflow.db import commands  # four seconds of CPU, only when there is work

    use_service(parameters)
    commands.main(args=["upgrade", SERVICE], standalone_mode=False)


def migrate(database: Database, clock: Clock) -> None:
    """Do what the database's state asks for."""
    with locked(database, clock):
        state = database.state()
        refuse(database, state)
        refuse_rights(database, state)
        mlflow_keys.require(database)
        mlflow_keys.give_up(database)
        if state is State.CURRENT:
            mlflow_permissions.migrate(database, clock)
            print(f"schema {database.migrations.head}: nothing to do", flush=True)
            return
        if state is State.BEHIND:
            wait_for_writers(database, clock)
            end_index_creation(database)
        task = f"schema {database.revision() or 'none'} -> {database.migrations.head}: migrating"
        clock.tell(task)
        with heartbeat(clock, task):
            upgrade(database.parameters)
        mlflow_permissions.migrate(database, clock)
        if database.state() is not State.CURRENT:
            message = f"The migration ended at {database.revision()}, not at {database.migrations.head}."
            raise RuntimeError(message)
        print(f"schema {database.migrations.head}: migrated after {clock.elapsed():.1f} s", flush=True)


def work(database: Database, clock: Clock) -> None:
    """Migrate; then, while the server already starts, create indexes."""
    migrate(database, clock)
    mlflow_indexes.ensure(database, clock)


if __name__ == "__main__":
    sys.exit(run(work))
