"""Compare the database's schema with the one that the installed MLflow expects.

MLflow itself is not imported: that costs four seconds of CPU. Its migrations are read as text, and the
database is asked through psycopg2 alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import mlflow_causes
import mlflow_tls
import mlflow_uri

DEFINITE = 78
"""Exit code of a failure that another try would not cure; the Job stops at it."""

PROGRESS_SECONDS = 10.0

OTHER = "NEBARI_MLFLOW_OTHER_PGPASSWORD"
"""Environment variable: the other password that the database may have, as long as a rotation runs."""

REFUSED = "password authentication failed"


class SchemaError(Exception):
    """A failure that no further try cures; `fix` says what to change."""

    def __init__(self, cause: str, fix: str = "") -> None:
        super().__init__(f"{cause} Fix: {fix}" if fix else cause)


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


def installed() -> Path:
    """Find the installed MLflow without importing it."""
    spec = importlib.util.find_spec("mlflow")
    if spec is None or not spec.submodule_search_locations:
        message = "This image has no MLflow for its python3. Set image.repository and image.tag to one that has."
        raise SchemaError(message)
    return Path(spec.submodule_search_locations[0])


def installed_migrations() -> Migrations:
    """Return the migrations of the installed MLflow."""
    return read_migrations(installed() / "store/db_migrations/versions")


def judge(revision: str | None, tables: frozenset[str], migrations: Migrations) -> State:
    """Judge by the revision in the database and its tables.

    Tables of MLflow without a revision are an installation that was cut off before its first migration.
    """
    if is_foreign(tables):
        return State.FOREIGN
    if revision == migrations.head:
        return State.CURRENT
    if revision in migrations.known:
        return State.BEHIND
    if _own(tables):
        return State.AHEAD if revision else State.BEHIND
    return State.FOREIGN if revision else State.EMPTY


def is_foreign(tables: frozenset[str]) -> bool:
    """Say if the tables are another program's; its revision may not even be ours to read."""
    return bool(_own(tables)) and not {"experiments", "runs"} <= tables


def _own(tables: frozenset[str]) -> set[str]:
    """Leave out what every program has that migrates with alembic."""
    return {table for table in tables if not table.startswith("alembic_")}


def parameters(uri: str) -> dict[str, str]:
    """Split the URI, or say where it must be mended without showing any of it."""
    try:
        return mlflow_uri.split(uri)
    except mlflow_uri.UriError as error:
        origin = os.environ.get("DATABASE_URI_FROM", "MLFLOW_BACKEND_STORE_URI")
        cause = (
            f"The database's URI is malformed: {error}. User and password must be percent-encoded "
            f"({mlflow_uri.ENCODING})."
        )
        raise SchemaError(cause, f"Write it as {mlflow_uri.EXAMPLE} into {origin}.") from None


def target() -> tuple[dict[str, str], dict[str, str]]:
    """Return libpq's parameters, and those of them that no message may hold.

    A value that was written with `echo` ends in a line break.
    """
    given = parameters(os.environ["MLFLOW_BACKEND_STORE_URI"])
    variables = (("user", "PGUSER"), ("password", "PGPASSWORD"))
    secret = {name: os.environ[key].rstrip("\r\n") for name, key in variables if key in os.environ}
    whole = "password" in given or "DATABASE_URI_FROM" in os.environ
    return {**secret, **given}, {**secret, **(given if whole else {})}


@dataclass(frozen=True)
class Database:
    """A connection that commits by itself, the migrations to hold against it, and libpq's parameters of it."""

    connection: Any
    migrations: Migrations
    parameters: Mapping[str, str] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict)

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    def tables(self) -> frozenset[str]:
        """Return the tables of the schema that MLflow uses, but for those of extensions."""
        rows = self.query(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND NOT EXISTS (SELECT FROM pg_depend "
            "WHERE classid = 'pg_class'::regclass AND deptype = 'e' "
            "AND objid = (quote_ident(schemaname) || '.' || quote_ident(tablename))::regclass)"
        )
        return frozenset(name for (name,) in rows)

    def revision(self) -> str | None:
        if "alembic_version" not in self.tables():
            return None
        rows = self.query("SELECT version_num FROM alembic_version")
        return str(rows[0][0]) if rows else None

    def state(self) -> State:
        tables = self.tables()
        return judge(None if is_foreign(tables) else self.revision(), tables, self.migrations)

    def another(self) -> Any:
        """Open another connection, which has transactions."""
        return driver().connect(mlflow_uri.join(self.parameters, "postgresql"))

    def is_pooled(self) -> bool:
        """Say if a pooler stands between: its sessions are not those of the database."""
        return bool(self.query("SELECT pg_backend_pid()")[0][0] != self.connection.get_backend_pid())

    def filled(self, text: str) -> str:
        return fill(text, self.parameters, self.hidden)


def fill(text: str, given: Mapping[str, str], hidden: Mapping[str, str]) -> str:
    """Put the names of user and database into a cure, unless they are secret."""
    for name in {"user", "dbname"} & set(given) - set(hidden):
        text = text.replace(f"<{name}>", '"' + given[name].replace('"', '""') + '"')
    return text


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


def driver() -> Any:
    """Return psycopg2, which MLflow's connection names."""
    try:
        return importlib.import_module("psycopg2")
    except ImportError:
        cause = f"The image {os.environ.get('MLFLOW_IMAGE', '')} has no PostgreSQL driver: its python3 has no psycopg2."
        fix = "Use an official -full image (image.tag), or install psycopg2-binary into yours."
        raise SchemaError(cause, fix) from None


def connect(clock: Clock) -> Database:
    """Connect. Waits for a server that may still come; what waiting does not cure is told at once."""
    given, hidden = target()
    migrations = installed_migrations()
    driver()
    try:
        settled: Mapping[str, str] = {**given, **mlflow_tls.settle(given)}
    except mlflow_tls.TlsError as error:
        raise SchemaError(str(error)) from None
    clock.tell("waiting for the database: connecting")
    doubtful = None
    while True:
        connection, settled, cause = attempt_each(settled)
        if not cause:
            return Database(connection, migrations, settled, hidden)
        found = mlflow_causes.judge(cause)
        told, cure = mlflow_uri.scrub(found.line, hidden).rstrip("."), fill(found.cure, given, hidden)
        if found.patience == mlflow_causes.ALWAYS:
            doubtful = None
            if clock.expired():
                raise TimeoutError(f"No connection to the database: {told}{f' ({cure})' if cure else ''}.")
        else:
            doubtful = clock.elapsed() if doubtful is None else doubtful
            if clock.expired() or clock.elapsed() - doubtful >= found.patience:
                raise SchemaError(f"The database cannot be used: {told}.", cure)
        clock.tell(f"waiting for the database: {told}{f' ({cure})' if cure else ''}")
        time.sleep(1)


def attempt_each(settled: Mapping[str, str]) -> tuple[Any, Mapping[str, str], str]:
    """Try the other password too, as long as a rotation runs; return what was used."""
    connection, cause = attempt(settled)
    other = os.environ.get(OTHER, "")
    if other and REFUSED in cause:
        second = {**settled, "password": other}
        found, why = attempt(second)
        if not why:
            return found, second, ""
    return connection, settled, cause


def attempt(settled: Mapping[str, str]) -> tuple[Any, str]:
    """Return a connection that can write, or why there is none."""
    module = driver()
    try:
        connection = module.connect(mlflow_uri.join(settled, "postgresql"))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_read_only")
            if cursor.fetchone()[0] == "off":
                return connection, ""
        connection.close()
    except module.Error as error:
        cause = str(error).strip()
        if "certificate verify failed" in cause and (fault := mlflow_tls.fault(settled)):
            cause = cause.replace("certificate verify failed", f"certificate verify failed: {fault}")
        return None, cause or "the connection failed without a word"
    return None, "the session is read-only"


SERVICE = "postgresql+psycopg2:///?service=mlflow"
"""MLflow's way to the database: it never sees the URI, which its errors would print."""


def hand_over(parameters: Mapping[str, str], file: Path) -> None:
    """Write the connection that just worked where libpq looks for the service `mlflow`."""
    passfile = file.with_name("password")
    service, password = mlflow_uri.service(parameters, str(passfile))
    for path, content in ((file, service), (passfile, password)):
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(content, encoding="utf-8")


def service_file() -> Path:
    """Return where the connection is handed over."""
    return Path(os.environ.get("SERVICE_FILE") or f"{tempfile.gettempdir()}/service.conf")


def use_service(parameters: Mapping[str, str]) -> None:
    """Have this process use that connection as well."""
    hand_over(parameters, service_file())
    os.environ["PGSERVICEFILE"] = str(service_file())
    os.environ.pop("PGPASSWORD", None)  # the file's is without a line break


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
    except Exception as error:
        return _failed(error)
    return 0


def _failed(error: Exception) -> int:
    """Tell a failure of a statement or of MLflow itself; only one that may pass is tried again."""
    given, hidden = target()
    said = next((each for each in _chain(error) if hasattr(each, "pgcode")), None)
    cause = mlflow_uri.scrub(str(error if said is None else said).strip(), hidden)
    if said is None:
        print(mlflow_uri.scrub("".join(traceback.format_exception(error)), hidden), file=sys.stderr, flush=True)
        print(f"ERROR: MLflow's migration failed: {type(error).__name__}: {cause.partition(chr(10))[0]}", flush=True)
        return DEFINITE
    found = mlflow_causes.judge_statement(said.pgcode)
    line = mlflow_causes.judge(cause)
    cure = found.cure or line.cure
    print(f"ERROR: {SchemaError(f'The database refused: {line.line}.', fill(cure, given, hidden))}", flush=True)
    return 1 if found.patience == mlflow_causes.ALWAYS else DEFINITE


def said_by(error: Exception) -> str:
    """Return the line in which the database, or otherwise MLflow, says what went wrong."""
    said = next((each for each in _chain(error) if hasattr(each, "pgcode")), error)
    line = (str(said).strip().splitlines() or [""])[0]
    return line if said is not error else f"{type(error).__name__}: {line}"


def _chain(error: BaseException | None) -> list[Any]:
    """Return the errors behind an error, SQLAlchemy's `orig` included."""
    found: list[Any] = []
    while error is not None and error not in found:
        found += [error, getattr(error, "orig", None)]
        error = error.__cause__ or error.__context__
    return found
