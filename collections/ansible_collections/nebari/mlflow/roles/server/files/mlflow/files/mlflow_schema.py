"""Compare the database's schema with the one that the installed MLflow expects.

MLflow itself is not imported: that costs four seconds of CPU. Its migrations are read as text, and the
database is asked through psycopg2 alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import mlflow_tls
import mlflow_uri

DEFINITE = 78
"""Exit code of a failure that another try would not cure; the Job stops at it."""

PROGRESS_SECONDS = 10.0


class SchemaError(Exception):
    """A failure that stays until somebody changes something; the message says what."""


class State(Enum):
    """How the database stands to the migrations of this image."""

    CURRENT = "current"
    EMPTY = "empty"
    BEHIND = "behind"
    AHEAD = "ahead"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class Migrations:
    """The revisions that this image knows, and the one that it needs."""

    known: frozenset[str]
    head: str


def read_migrations(directory: Path) -> Migrations:
    """Read the chain of revisions from the files, each of which names its own and its predecessor."""
    known: set[str] = set()
    replaced: set[str] = set()
    for file in sorted(directory.glob("*.py")):
        text = file.read_text(encoding="utf-8")
        known.update(_assigned(text, "revision"))
        replaced.update(_assigned(text, "down_revision"))
    heads = known - replaced
    if len(heads) != 1:
        message = f"{directory} holds {len(known)} migrations with {len(heads)} heads; one was expected."
        raise SchemaError(message)
    return Migrations(frozenset(known), heads.pop())


def _assigned(text: str, name: str) -> list[str]:
    match = re.search(rf"^{name}(?:\s*:[^=\n]+)?\s*=\s*(.+)$", text, re.MULTILINE)
    return re.findall(r"[\"']([0-9a-z_]+)[\"']", match.group(1)) if match else []


def installed_migrations() -> Migrations:
    """Find the migrations of the installed MLflow without importing it."""
    spec = importlib.util.find_spec("mlflow")
    if spec is None or not spec.submodule_search_locations:
        message = "This image has no MLflow for its python3. Set image.repository and image.tag to one that has."
        raise SchemaError(message)
    return read_migrations(Path(spec.submodule_search_locations[0]) / "store/db_migrations/versions")


def judge(revision: str | None, tables: frozenset[str], migrations: Migrations) -> State:
    """Judge by the revision in the database and its tables.

    Tables of MLflow without a revision are an installation that was cut off before its first migration.
    """
    if revision == migrations.head:
        return State.CURRENT
    if revision:
        return State.BEHIND if revision in migrations.known else State.AHEAD
    own = {table for table in tables if not table.startswith("alembic_")}
    if not own:
        return State.EMPTY
    return State.BEHIND if {"experiments", "runs"} <= own else State.FOREIGN


def parameters(uri: str) -> dict[str, str]:
    """Split the URI, or say where it must be mended without showing any of it."""
    try:
        return mlflow_uri.split(uri)
    except mlflow_uri.UriError as error:
        origin = os.environ.get("DATABASE_URI_FROM", "MLFLOW_BACKEND_STORE_URI")
        message = (
            f"The database's URI is malformed: {error}. User and password must be percent-encoded "
            f"({mlflow_uri.ENCODING}). Fix: write it as {mlflow_uri.EXAMPLE} into {origin}."
        )
        raise SchemaError(message) from None


def libpq_uri(uri: str) -> str:
    """Turn SQLAlchemy's URI into libpq's, which has no `+driver`."""
    return mlflow_uri.join(parameters(uri), "postgresql")


@dataclass(frozen=True)
class Database:
    """A connection that commits by itself, the migrations to hold against it, and libpq's parameters of it."""

    connection: Any
    migrations: Migrations
    parameters: Mapping[str, str] = field(default_factory=dict)

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    def tables(self) -> frozenset[str]:
        rows = self.query("SELECT tablename FROM pg_tables WHERE schemaname = ANY (current_schemas(false))")
        return frozenset(name for (name,) in rows)

    def revision(self) -> str | None:
        if "alembic_version" not in self.tables():
            return None
        rows = self.query("SELECT version_num FROM alembic_version")
        return str(rows[0][0]) if rows else None

    def state(self) -> State:
        return judge(self.revision(), self.tables(), self.migrations)


class Clock:
    """A deadline, and a line of progress when what is waited for changes or ten seconds have passed."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.started = time.monotonic()
        self._told: tuple[str, float] = ("", 0.0)

    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def expired(self) -> bool:
        return self.elapsed() >= self.limit

    def tell(self, message: str) -> None:
        now = time.monotonic()
        if message != self._told[0] or now - self._told[1] >= PROGRESS_SECONDS:
            print(f"{message} ({self.elapsed():.0f} s of {self.limit:.0f} s)", flush=True)
            self._told = (message, now)


def connect(clock: Clock) -> Database:
    """Connect, waiting for a server that is not there yet; a login that is refused is not waited for."""
    given = parameters(os.environ["MLFLOW_BACKEND_STORE_URI"])
    hidden = given if "password" in given or "DATABASE_URI_FROM" in os.environ else {}
    migrations = installed_migrations()
    try:
        settled = {**given, **mlflow_tls.settle(given)}
    except mlflow_tls.TlsError as error:
        raise SchemaError(str(error)) from None
    driver = importlib.import_module("psycopg2")
    while True:
        try:
            connection = driver.connect(mlflow_uri.join(settled, "postgresql"))
            connection.autocommit = True
            return Database(connection, migrations, settled)
        except driver.Error as error:
            refuse_login(str(error), hidden)
            cause = mlflow_uri.scrub(str(error).strip().splitlines()[0], hidden)
            if clock.expired():
                raise TimeoutError(f"No connection to the database: {cause}") from None
            clock.tell(f"waiting for the database: {cause}")
        time.sleep(1)


CURES = {
    r"authentication method requirement": "The database's server asks for the password in a way that gives it away, so "
    "it got nothing. Store the user's password as SCRAM in the database (password_encryption = scram-sha-256, then "
    "set it again), or accept the server's way in externalDatabase.requireAuth.",
    r"password authentication failed": "The Secret's password is not the database's. Put the right one into the "
    "Secret that the release names.",
    r"no password supplied": "The Secret holds no password under the key that the release names.",
    r"(database|role) .* does not exist": "Create it; MLflow's user must own MLflow's database.",
    r"does not support SSL": "Switch TLS on in the database; only in a network that you trust set "
    "externalDatabase.sslMode to prefer or disable.",
    r"does not match host name": "Connect by a name that the certificate holds, or, with an authority of your own in "
    "externalDatabase.caSecret, set externalDatabase.sslMode to verify-ca.",
    r"certificate verify failed|root certificate file": "The password was not sent. Give the certificate of the "
    "database's authority in externalDatabase.caSecret (ca.crt).",
    r"weak sslmode|sslmode value|invalid sslmode|require_auth value|invalid connection option": "Correct the "
    "parameters after the URI's question mark.",
    r"no pg_hba.conf entry": "Let this user, database and network in (pg_hba.conf).",
}
"""What libpq says when waiting cures nothing, and what does."""


def refuse_login(causes: str, hidden: Mapping[str, str] = MappingProxyType({})) -> None:
    """Stop at what waiting does not cure. A name with several addresses has a cause for each."""
    for cause in causes.strip().splitlines():
        for sign, cure in CURES.items():
            if re.search(sign, cause):
                message = f"{mlflow_uri.scrub(cause.strip(), hidden)}. {cure}"
                raise SchemaError(message)


def run(work: Callable[[Database, Clock], None]) -> int:
    """Do the work within TIMEOUT_SECONDS, and return the exit code."""
    clock = Clock(float(os.environ.get("TIMEOUT_SECONDS", "600")))
    try:
        work(connect(clock), clock)
    except SchemaError as error:
        print(f"ERROR: {error}", flush=True)
        return DEFINITE
    except TimeoutError as error:
        print(f"ERROR: {error} Waited {clock.elapsed():.0f} s.", flush=True)
        return 1
    return 0
