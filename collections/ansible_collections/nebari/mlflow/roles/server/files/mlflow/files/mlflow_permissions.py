"""Bring MLflow's tables of users and permissions, which are in the same database, to this image's schema of them."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Mapping
from pathlib import Path

import mlflow_schema

WANTED = "PERMISSIONS"
TABLE = "alembic_version_auth"


def wanted() -> bool:
    """Say whether the server knows people, and so needs these tables."""
    return os.environ.get(WANTED) == "true"


@functools.cache
def head() -> str:
    """Return the revision that the installed MLflow needs, read without importing it."""
    folder: Path = mlflow_schema.installed() / "server/auth/db/migrations/versions"
    return mlflow_schema.read_migrations(folder).head


def current(database: mlflow_schema.Database) -> bool:
    """Say whether the tables are as the server needs them."""
    if not wanted():
        return True
    if TABLE not in database.tables():
        return False
    return [str(revision) for (revision,) in database.query(f"SELECT version_num FROM {TABLE}")] == [head()]  # noqa: S608


def upgrade(parameters: Mapping[str, str]) -> None:
    """Run MLflow's own migrations of them inside this process, by a connection in which no password stands."""
    from mlflow.server.auth.db import utils  # four seconds of CPU, only when there is work

    mlflow_schema.use_service(parameters)
    engine = importlib.import_module("sqlalchemy").create_engine(mlflow_schema.SERVICE)
    try:
        utils.migrate(engine, "head")
    finally:
        engine.dispose()


def migrate(database: mlflow_schema.Database, clock: mlflow_schema.Clock) -> None:
    """Upgrade them if they are not current. Called while the migration holds its lock."""
    if current(database):
        return
    clock.tell("tables of users and permissions: migrating")
    upgrade(database.parameters)
    if not current(database):
        message = f"The migration of users and permissions did not end at {head()}."
        raise RuntimeError(message)
    print(f"users and permissions {head()}: migrated after {clock.elapsed():.1f} s", flush=True)
