"""Restore a backup, or rehearse it on a server of this pod alone.

What is there is put aside before, and comes back by itself when anything fails. After a kill the next run begins with
that. Nothing is deleted: what was put aside stays until someone says otherwise.
"""

from __future__ import annotations

import base64
import importlib
import os
from collections.abc import Iterator
from typing import Any

import migrate
import mlflow_uri
from mlflow_schema import Clock, Database, State, connect, driver

from nebari_mlflow_backup import artifacts, aside, manifest, parts, sets, tables
from nebari_mlflow_backup.exchange import Exchange, ProgramError
from nebari_mlflow_backup.manifest import Manifest
from nebari_mlflow_backup.report import Progress, RefusedError, size
from nebari_mlflow_backup.store import Store

SCRATCH = {
    "host": "127.0.0.1",
    "port": "5433",
    "user": "postgres",
    "dbname": "mlflow",
    "sslmode": "disable",
    "require_auth": "none",
}
"""The server of a drill: of this pod alone, which nobody else reaches."""

PREPARE = 120.0  # seconds for a server on an empty volume


def inspect(database: Database, store: Store, identity: str) -> dict[str, Any]:
    """Check what can be checked without reading everything, and say what a restore would replace."""
    found = _checked(database, store, identity)
    present = _counts(database)
    return {"backup": sets.row(found), "replaces": present, "aside": aside.find(database), "store": store.uri}


def _checked(database: Database, store: Store, identity: str) -> Manifest:
    found = sets.load(store, identity)
    folder = f"{sets.FOLDER}/{found['id']}"
    inside = {f"database/{name}": bytes_ for name, bytes_ in store.list(f"{folder}/database").items()}
    manifest.refuse_missing(found, {**store.list(folder), **inside})
    manifest.refuse_newer(found, database.migrations.known, version(database))
    return found


def version(database: Database) -> int:
    ((version,),) = database.query("SELECT current_setting('server_version_num')")
    return int(version)


def _counts(database: Database) -> dict[str, int]:
    """Count what a person knows in the present database; an empty one has nothing."""
    there = database.tables()
    found = {}
    for table, word in tables.COUNTED.items():
        if table in there:
            ((found[word],),) = database.query(f"SELECT count(*) FROM {table}")  # noqa: S608 (a name of ours)
    return found


def restore(
    database: Database,
    exchange: Exchange,
    store: Store,
    progress: Progress,
    identity: str,
    *,
    replace: bool,
    migrating: bool = True,
) -> dict[str, Any]:
    """Replace the database by a backup. The caller has stopped the servers."""
    found = _checked(database, store, identity)
    clock = Clock(float(os.environ.get("TIMEOUT_SECONDS", "600")))
    _resume(database, progress)
    present = _counts(database)
    if any(present.values()) and not replace:
        there = ", ".join(f"{number} {word}" for word, number in present.items() if number)
        raise RefusedError(
            f"The database is not empty: {there}.",
            "Confirm that the restore replaces it: nebari-mlflow restore --yes. What is there is put aside.",
        )
    migrate.wait_for_writers(database, clock)
    progress.say("putting the present tables aside")
    aside.put(database, found["id"])
    try:
        _load(exchange, store, found, "restore", progress)
        _verify(database, found, progress)
        if migrating:
            _migrate(database, progress)
    except BaseException:
        progress.say("taking the present tables back")
        aside.take_back(_alive(database))
        raise
    aside.finish(database)
    result = {"backup": sets.row(found), "replaced": present, "aside": aside.SCHEMA}
    listing = sets.listing(store, found)
    if listing:
        files = artifacts.of_store(os.environ["ARTIFACTS_DESTINATION"])
        result["artifacts"] = artifacts.put_back(files, store, listing, progress)
    return {**result, "seconds": round(progress.elapsed(), 1)}


def _alive(database: Database) -> Database:
    """Return the database by a new connection, if it has ended the one that there was."""
    try:
        database.query("SELECT 1")
    except driver().Error:
        return connect(Clock(float(os.environ.get("CONNECT_SECONDS", "120"))))
    return database


def recover(database: Database, progress: Progress) -> dict[str, Any]:
    """Take back what a restore put aside that was cut off. After any other there is nothing to do."""
    there = aside.find(database)
    if there is None or there.get("state") != aside.RESTORING:
        return {"recovered": False}
    _resume(database, progress)
    return {"recovered": True}


def _resume(database: Database, progress: Progress) -> None:
    """Begin where a killed run left: with the tables that it had put aside."""
    there = aside.find(database)
    if there is None:
        return
    if there.get("state") == aside.RESTORING:
        progress.say("an earlier restore was cut off: taking the tables back that it had put aside")
        aside.take_back(database)
        return
    raise RefusedError(f"{aside.told(database)} Another restore needs their place.", aside.DECIDE)


def undo(database: Database, progress: Progress) -> dict[str, Any]:
    """Take back what a restore put aside. What it wrote is removed."""
    there = aside.find(database)
    if there is None:
        raise RefusedError("No restore has put anything aside.", "List the backups: nebari-mlflow backup list.")
    migrate.wait_for_writers(database, Clock(float(os.environ.get("TIMEOUT_SECONDS", "600"))))
    progress.say("taking back what was put aside")
    aside.take_back(database)
    return {"undone": there, "counts": _counts(database)}


def discard(database: Database) -> dict[str, Any]:
    """Delete what a restore put aside."""
    there = aside.find(database)
    aside.discard(database)
    return {"discarded": there}


def drill(exchange: Exchange, database: Database, store: Store, progress: Progress, identity: str) -> dict[str, Any]:
    """Restore into a server of this pod, compare every table, migrate it as a restore would, and remove it."""
    found = _checked(database, store, identity)
    folder = f"{sets.FOLDER}/{found['id']}/"
    for section in filter(found.get, ("secrets",)):
        for _ in parts.read(store, folder, manifest.parts(found[section])):
            progress.say("checking the encrypted Secrets")
    missing = _missing(store, found)
    if missing:
        raise RefusedError(
            f"Backup {found['id']} lacks {len(missing)} parts of artifacts, such as {missing[0]}.", manifest.ANOTHER
        )
    progress.say("starting a database of this pod's own")
    exchange.ask("start")
    exchange.settle(PREPARE)
    try:
        _load(exchange, store, found, "rehearse", progress)
        scratch = _scratch(database)
        _verify(scratch, found, progress)
        _migrate(scratch, progress)
        scratch.connection.close()
    finally:
        exchange.ask("stop")
        exchange.settle(PREPARE)
    return {
        "backup": sets.row(found),
        "tables": len(found["tables"]),
        "rows": sum(int(each["rows"]) for each in found["tables"].values()),
        "seconds": round(progress.elapsed(), 1),
    }


def _missing(store: Store, found: Manifest) -> list[str]:
    objects = artifacts.Objects(store)
    listed = (part for file in sets.listing(store, found).values() for part in file["parts"])
    return [part["path"] for part in listed if not objects.has(part["path"].rpartition("/")[2], part["bytes"])]


def _scratch(database: Database) -> Database:
    connection = importlib.import_module("psycopg2").connect(mlflow_uri.join(SCRATCH, "postgresql"))
    connection.autocommit = True
    return Database(connection, database.migrations, SCRATCH)


def _load(exchange: Exchange, store: Store, found: Manifest, verb: str, progress: Progress) -> None:
    """Feed the dump to pg_restore, each part only once it is known to be whole."""
    total = int(found["database"]["bytes"])

    def pieces() -> Iterator[bytes]:
        done = 0
        for piece in parts.read(store, f"{sets.FOLDER}/{found['id']}/", manifest.parts(found["database"])):
            yield piece
            done += len(piece)
            progress.say("restoring the database", f"{size(done)} of {size(total)}")

    progress.say("restoring the database")
    exchange.ask(verb)
    exchange.feed(pieces())
    exchange.settle(float(os.environ.get("INDEX_SECONDS", "7200")))


def _verify(database: Database, found: Manifest, progress: Progress) -> None:
    progress.say("comparing every table with the backup")
    with tables.transaction(database):
        differs = tables.differences(found["tables"], tables.read(database))
    if differs:
        raise ProgramError(f"What was restored is not what was backed up: {'; '.join(differs[:3])}.")


def _migrate(database: Database, progress: Progress) -> None:
    """Bring an older schema to that of this image's MLflow."""
    if database.state() is State.CURRENT:
        return
    progress.say("migrating the restored database", f"{database.revision()} -> {database.migrations.head}")
    migrate.upgrade(database.parameters)
    if database.state() is not State.CURRENT:
        raise ProgramError(f"The migration ended at {database.revision()}, not at {database.migrations.head}.")


def secrets(store: Store, identity: str) -> dict[str, Any]:
    """Return the encrypted Secrets of a backup as they are: only who has the private key can read them."""
    found = sets.load(store, identity)
    if not found.get("secrets"):
        raise RefusedError(
            f"Backup {found['id']} holds no Secrets: backup.recipients named no public key when it was made.",
            "Put the Secrets back from elsewhere.",
        )
    content = b"".join(parts.read(store, f"{sets.FOLDER}/{found['id']}/", manifest.parts(found["secrets"])))
    return {"backup": sets.row(found), "names": found["secrets"]["names"], "age": base64.b64encode(content).decode()}
