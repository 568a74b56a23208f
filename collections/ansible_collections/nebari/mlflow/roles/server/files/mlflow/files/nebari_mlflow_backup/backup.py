"""Make one backup: the database in one snapshot, the Secrets encrypted, the artifacts if asked, the manifest last."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlflow_schema import Database

from nebari_mlflow_backup import age, artifacts, manifest, parts, sets, tables
from nebari_mlflow_backup.exchange import Exchange
from nebari_mlflow_backup.manifest import Manifest
from nebari_mlflow_backup.report import Progress, RefusedError, size
from nebari_mlflow_backup.store import Store, StoreError

SECRETS = Path(os.environ.get("SECRETS_FOLDER", "/mlflow/secrets"))
CHECK = 30.0  # seconds that a dump may need to end after its last byte


class Counting(threading.Thread):
    """Count and check the tables while they are dumped, in the same snapshot."""

    def __init__(self, database: Database) -> None:
        super().__init__(daemon=True)
        self._database = database
        self._found: tables.Numbers = {}
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            self._found = tables.read(self._database)
        except Exception as error:
            self._error = error

    def result(self) -> tables.Numbers:
        self.join()
        if self._error:
            raise self._error
        return self._found


def make(
    database: Database, exchange: Exchange, store: Store, progress: Progress, *, copy: str, reason: str
) -> dict[str, Any]:
    """Make a backup and return what a person wants to know of it. What is cut off before its manifest is none."""
    recipients = json.loads(os.environ.get("BACKUP_RECIPIENTS", "[]"))
    for each in recipients:
        age.public_key(each)
    refuse_pooler(database)
    there = sets.identities(store)
    previous = _readable(store, there[0]) if there else None
    now = datetime.now(UTC)
    identity = manifest.new_identity(now, there[0] if there else "")
    folder = f"{sets.FOLDER}/{identity}/"
    try:
        with tables.snapshot(database) as name:
            whole = _database(database, exchange, store, folder, name, progress)
        whole |= {
            "id": identity,
            "created": now.isoformat(timespec="seconds"),
            "reason": reason,
            "source": {"release": os.environ["BACKUP_OF"], "artifacts": os.environ["ARTIFACTS_DESTINATION"]},
            "secrets": _secrets(store, folder, recipients),
            "artifacts": _artifacts(store, folder, copy, previous, now, progress),
        }
        manifest.refuse_missing(whole, _there(store, folder))
        store.put(folder + manifest.NAME, manifest.write(whole))
    except BaseException:
        with contextlib.suppress(StoreError):
            store.delete(folder.rstrip("/"))
        raise
    return {**sets.row(whole), "store": store.uri, "seconds": round(progress.elapsed(), 1)}


def _there(store: Store, folder: str) -> dict[str, int | None]:
    """List what a backup's folder holds, the parts in their own folder included."""
    here = store.list(folder.rstrip("/"))
    inside = store.list(f"{folder}database")
    return {**here, **{f"database/{name}": bytes_ for name, bytes_ in inside.items()}}


def refuse_pooler(database: Database) -> None:
    """A dump changes its session's settings, which a pooler hands on to MLflow with the connection."""
    if database.is_pooled():
        raise RefusedError(
            "The database is reached through a connection pooler, whose sessions a dump would change for everybody.",
            "Set backup.database.host and backup.database.port to PostgreSQL itself, and deploy.",
        )


def _readable(store: Store, identity: str) -> Manifest | None:
    try:
        return sets.load(store, identity)
    except RefusedError:
        return None  # its files are copied again


def _database(
    database: Database, exchange: Exchange, store: Store, folder: str, snapshot: str, progress: Progress
) -> dict[str, Any]:
    counting = Counting(database)
    progress.say("dumping the database")
    exchange.ask("dump", snapshot)
    stream = exchange.reader()
    counting.start()
    whole = hashlib.sha256()

    def read(number: int) -> bytes:
        piece = stream.read(number)
        whole.update(piece)
        return piece

    try:
        found = parts.write(
            read,
            lambda path, content: store.put(folder + path, content),
            lambda number, _digest: f"database/{number:06}.part",
            lambda total: progress.say("dumping the database", size(total)),
        )
    finally:
        stream.close()
    exchange.settle(CHECK)
    numbers = counting.result()
    ((version,), (schema,)) = database.query(
        "SELECT current_setting('server_version_num') UNION ALL SELECT current_schema()"
    )
    return {
        "database": {
            "format": "custom",
            "bytes": sum(part.bytes for part in found),
            "sha256": whole.hexdigest(),
            "parts": [part.report() for part in found],
        },
        "schema": {"name": schema, "revision": database.revision()},
        "versions": {
            "mlflow": os.environ["MLFLOW_VERSION"],
            "chart": os.environ["CHART_VERSION"],
            "postgresql": version,
        },
        "tables": numbers,
        "counts": tables.counts(numbers),
    }


def _secrets(store: Store, folder: str, recipients: list[str]) -> dict[str, Any] | None:
    """Encrypt every mounted Secret to the public keys. Without one there is nothing to keep them safe with."""
    if not recipients:
        print(
            "WARNING: MLflow's keys are not in this backup: backup.recipients names no public key. Without them the "
            "secrets of webhooks and of the AI gateway cannot be decrypted.",
            flush=True,
        )
        return None
    found = {
        each.name: {file.name: file.read_text(encoding="utf-8") for file in each.iterdir() if not _is_hidden(file)}
        for each in SECRETS.iterdir()
        if each.is_dir() and not _is_hidden(each)
    }
    content = age.encrypt(json.dumps(found).encode(), recipients)
    store.put(f"{folder}secrets.age", content)
    part = parts.Part("secrets.age", len(content), hashlib.sha256(content).hexdigest())
    return {"names": sorted(found), "recipients": recipients, "parts": [part.report()]}


def _is_hidden(file: Path) -> bool:
    return file.name.startswith("..")  # Kubernetes' own links


def _artifacts(
    store: Store, folder: str, copy: str, previous: Manifest | None, now: datetime, progress: Progress
) -> dict[str, Any] | None:
    uri = os.environ["ARTIFACTS_DESTINATION"]
    if copy == "none":
        return None
    if copy == "versioning":
        return {"kind": "versioning", "uri": uri, "at": now.isoformat(timespec="seconds")}
    before = sets.listing(store, previous) if previous else {}
    found, written = artifacts.copy(artifacts.of_store(uri), store, before, progress)
    content = artifacts.pack(found)
    digest = hashlib.sha256(content).hexdigest()
    pieces = [
        parts.Part(f"artifacts/{n:06}.part", len(piece), hashlib.sha256(piece).hexdigest())
        for n, piece in enumerate(content[start : start + parts.SIZE] for start in range(0, len(content), parts.SIZE))
    ]
    for n, piece in enumerate(pieces):
        store.put(folder + piece.path, content[n * parts.SIZE : (n + 1) * parts.SIZE])
    return {
        "kind": "copy",
        "uri": uri,
        "files": len(found),
        "bytes": sum(int(file["bytes"]) for file in found.values()),
        "new_bytes": written,
        "sha256": digest,
        "parts": [piece.report() for piece in pieces],
    }
