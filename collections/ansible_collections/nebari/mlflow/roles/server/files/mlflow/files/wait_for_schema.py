"""Wait until the database has the schema that this image's MLflow needs, then let the server start."""

from __future__ import annotations

import os
import sys
import time

import migrate
import mlflow_keys
import mlflow_permissions
from mlflow_schema import Clock, Database, SchemaError, State, hand_over, run, service_file


def wait(database: Database, clock: Clock) -> None:
    """Return when the schema fits; raise when it never will, or when the time is up."""
    while (state := database.state()) is not State.CURRENT or not mlflow_permissions.current(database):
        revision = database.revision() or "none"
        if state is State.AHEAD:
            cause = (
                f"The database's schema ({revision}) is newer than this image's MLflow ({database.migrations.head})."
            )
            fix = "Deploy the newer version again, or restore the backup that was made before the upgrade."
            raise SchemaError(cause, fix)
        if migrate.restoring(database):
            status = "waiting for a restore that runs, or was cut off (nebari-mlflow restore --undo takes it back)"
            told = f"{status}."
        else:
            status = f"schema {revision}, needed {database.migrations.head}: waiting for the migration Job"
            told = f"{status}, whose log tells why it did not come (component=migrate)."
        if clock.expired():
            raise TimeoutError(told)
        clock.tell(status)
        time.sleep(1)
    mlflow_keys.require(database)
    if "SERVICE_FILE" in os.environ:
        hand_over(database.parameters, service_file())
    print(f"schema {database.migrations.head}: ready after {clock.elapsed():.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(run(wait))
