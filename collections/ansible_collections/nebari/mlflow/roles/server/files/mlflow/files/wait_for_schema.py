"""Wait until the database has the schema that this image's MLflow needs, then let the server start."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import mlflow_keys
import mlflow_uri
from mlflow_schema import Clock, Database, SchemaError, State, run


def wait(database: Database, clock: Clock) -> None:
    """Return when the schema fits; raise when it never will, or when the time is up."""
    while (state := database.state()) is not State.CURRENT:
        revision = database.revision() or "none"
        if state is State.AHEAD:
            message = (
                f"The database's schema ({revision}) is newer than this image's MLflow "
                f"({database.migrations.head}). Deploy the newer version again, or restore the backup that "
                "was made before the upgrade."
            )
            raise SchemaError(message)
        status = f"schema {revision}, needed {database.migrations.head}: waiting for the migration Job"
        if clock.expired():
            message = f"{status}, whose log tells why it did not come (component=migrate)."
            raise TimeoutError(message)
        clock.tell(status)
        time.sleep(1)
    mlflow_keys.require(database)
    if file := os.environ.get("SERVICE_FILE"):
        hand_over(database.parameters, Path(file))
    print(f"schema {database.migrations.head}: ready after {clock.elapsed():.1f} s", flush=True)


def hand_over(parameters: Mapping[str, str], file: Path) -> None:
    """Give the server the connection that just worked. It never sees the URI, which its errors would print."""
    passfile = file.with_name("password")
    service, password = mlflow_uri.service(parameters, str(passfile))
    for path, content in ((file, service), (passfile, password)):
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run(wait))
