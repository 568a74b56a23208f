"""The backups in a store: which are complete, and which are given up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nebari_mlflow_backup import artifacts, manifest, parts
from nebari_mlflow_backup.manifest import Manifest
from nebari_mlflow_backup.report import Progress, RefusedError
from nebari_mlflow_backup.store import Store, StoreError

FOLDER = "sets"
NEWEST = "newest"


def identities(store: Store) -> list[str]:
    """Return the complete backups, the newest first: those that have a manifest."""
    names = [name for name, bytes_ in store.list(FOLDER).items() if bytes_ is None]
    found = [each for each in names if manifest.IDENTITY.fullmatch(each)]
    return sorted((each for each in found if manifest.NAME in store.list(f"{FOLDER}/{each}")), reverse=True)


def folders(store: Store) -> list[str]:
    return [name for name, bytes_ in store.list(FOLDER).items() if bytes_ is None]


def load(store: Store, identity: str) -> Manifest:
    """Read one manifest; `newest` is the newest complete backup."""
    if identity == NEWEST:
        there = identities(store)
        if not there:
            raise RefusedError(f"There is no complete backup in {store.uri}.", "Make one: nebari-mlflow backup.")
        identity = there[0]
    if not manifest.IDENTITY.fullmatch(identity):
        raise RefusedError(f"{identity[:80]!r} is not the name of a backup.", "List them: nebari-mlflow backup list.")
    try:
        content = store.get(f"{FOLDER}/{identity}/{manifest.NAME}")
    except StoreError as error:
        raise RefusedError(
            f"There is no complete backup {identity} in {store.uri} ({error}).", "List them: nebari-mlflow backup list."
        ) from error
    return manifest.read(content, identity)


def listing(store: Store, found: Manifest) -> artifacts.Listing:
    """Return the artifacts of a backup that copied them; empty for others."""
    described = found.get("artifacts") or {}
    if described.get("kind") != "copy":
        return {}
    folder = f"{FOLDER}/{found['id']}/"
    return artifacts.unpack(b"".join(parts.read(store, folder, manifest.parts(described))))


def rows(store: Store) -> list[dict[str, Any]]:
    """Return what a person wants to know of each backup; a manifest that cannot be read is said, not left out."""
    found = []
    for identity in identities(store):
        try:
            found.append(row(load(store, identity)))
        except RefusedError as error:
            found.append({"id": identity, "unusable": error.cause})
    return found


def row(found: Manifest) -> dict[str, Any]:
    copied = found.get("artifacts") or {}
    return {
        "id": found["id"],
        "created": found["created"],
        "mlflow": found["versions"]["mlflow"],
        "schema": found["schema"]["revision"],
        "bytes": found["database"]["bytes"],
        "counts": found["counts"],
        "secrets": bool(found.get("secrets")),
        "artifacts": copied.get("kind", "none"),
        "reason": found["reason"],
    }


@dataclass(frozen=True)
class Retention:
    """How many backups, and how old ones, are kept."""

    last: int
    days: int


def prune(store: Store, now: datetime, retention: Retention, progress: Progress) -> dict[str, Any]:
    """Give up backups, then what nothing refers to any more. Only with the lock, so that no backup is being written.

    A manifest goes first: what is left of a backup that was being removed is not listed, and goes the next time.
    """
    complete = identities(store)
    gone = manifest.expired(complete, now, retention.last, retention.days)
    for identity in gone:
        progress.say("removing backups", identity)
        store.delete(f"{FOLDER}/{identity}/{manifest.NAME}")
        store.delete(f"{FOLDER}/{identity}")
    halves = manifest.cut_off(folders(store), [each for each in complete if each not in gone], now)
    for identity in halves:
        progress.say("removing what was cut off", identity)
        store.delete(f"{FOLDER}/{identity}")
    kept = [each for each in complete if each not in gone]
    return {"removed": gone, "cut_off": halves, "kept": kept, "objects_removed": _sweep(store, kept, progress)}


def _sweep(store: Store, kept: Iterable[str], progress: Progress) -> int:
    """Delete the objects that no backup refers to; a manifest that cannot be read keeps everything."""
    there = store.list("objects")
    if not there:
        return 0
    used: set[str] = set()
    for identity in kept:
        try:
            found = listing(store, load(store, identity))
        except RefusedError as error:
            progress.say("no object is removed", error.cause)
            return 0
        used |= {part["path"].rpartition("/")[2] for file in found.values() for part in file["parts"]}
    removed = 0
    for folder in there:
        for digest in store.list(f"objects/{folder}"):
            if digest not in used:
                store.delete(f"objects/{folder}/{digest}")
                removed += 1
                progress.say("removing artifacts that no backup has", f"{removed} objects")
    return removed
