"""Bring the database to the schema of this image's MLflow. The only place that does.

Safe at any time and any number of times: an advisory lock lets one migration run, PostgreSQL undoes one that
is cut off, and MLflow's servers, which must not write meanwhile, are waited for until they have gone.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import mlflow_keys
import mlflow_uri
from mlflow_schema import Clock, Database, SchemaError, State, run

LOCK = 7_310_583_017_244_821
"""Key of the advisory lock, the same for every release; the lock belongs to one database."""

WRITERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"


def refuse(database: Database, state: State) -> None:
    """Stop where a migration would be wrong."""
    if state is State.AHEAD:
        message = (
            f"The database's schema ({database.revision()}) is newer than this image's MLflow "
            f"({database.migrations.head}): MLflow cannot go back. Deploy the newer version again, or restore "
            "the backup that was made before the upgrade."
        )
        raise SchemaError(message)
    if state is State.FOREIGN:
        some = ", ".join(sorted(database.tables())[:3])
        message = f"The database holds tables that are not MLflow's ({some}). Give MLflow a database of its own."
        raise SchemaError(message)


@contextmanager
def locked(database: Database, clock: Clock) -> Iterator[None]:
    """Hold the advisory lock; it ends with the connection, so a killed migration leaves none behind."""
    while not database.query("SELECT pg_try_advisory_lock(%s)", LOCK)[0][0]:
        if clock.expired():
            raise TimeoutError("Another migration holds the lock.")
        clock.tell("waiting for another migration to finish")
        time.sleep(1)
    yield
    database.query("SELECT pg_advisory_unlock(%s)", LOCK)


def wait_for_writers(database: Database, clock: Clock) -> None:
    """MLflow's servers of the old version must have gone: they do not know the new schema."""
    while count := database.query(WRITERS, "mlflow-server")[0][0]:
        if clock.expired():
            message = (
                f"{count} sessions of a running server did not end. With tracking.strategy.type Recreate "
                "they do; otherwise scale the server to 0 for this upgrade."
            )
            raise TimeoutError(message)
        clock.tell(f"waiting for the running server to stop: {count} sessions")
        time.sleep(1)


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
    """Run `mlflow db upgrade` inside this process: the URI may hold a password and must not be an argument."""
    from mlflow.db import commands  # four seconds of CPU, only when there is work

    commands.main(args=["upgrade", mlflow_uri.join(parameters, "postgresql+psycopg2")], standalone_mode=False)


def migrate(database: Database, clock: Clock) -> None:
    """Do what the database's state asks for."""
    with locked(database, clock):
        state = database.state()
        refuse(database, state)
        mlflow_keys.require(database)
        mlflow_keys.give_up(database)
        if state is State.CURRENT:
            print(f"schema {database.migrations.head}: nothing to do", flush=True)
            return
        if state is State.BEHIND:
            wait_for_writers(database, clock)
        task = f"schema {database.revision() or 'none'} -> {database.migrations.head}: migrating"
        clock.tell(task)
        with heartbeat(clock, task):
            upgrade(database.parameters)
        if database.state() is not State.CURRENT:
            message = f"The migration ended at {database.revision()}, not at {database.migrations.head}."
            raise RuntimeError(message)
        print(f"schema {database.migrations.head}: migrated after {clock.elapsed():.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(run(migrate))
