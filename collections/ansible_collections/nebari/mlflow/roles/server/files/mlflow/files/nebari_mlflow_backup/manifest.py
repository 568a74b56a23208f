"""What a backup consists of. It is written last and checks itself, so half a backup is never taken for one."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from nebari_mlflow_backup.parts import Part
from nebari_mlflow_backup.report import RefusedError

FORMAT = 1
NAME = "manifest.json"
IDENTITY = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
STAMP = "%Y%m%dT%H%M%SZ"
ANOTHER = "Use another backup: nebari-mlflow backup list."
HALF_AFTER = timedelta(days=2)  # a backup that is not complete by then was cut off

Manifest = dict[str, Any]


def new_identity(now: datetime, newest: str = "") -> str:
    """Return a name that sorts by time, and after `newest` also if the clock was set back since."""
    at = max(now, created(newest) + timedelta(seconds=1)) if newest else now
    return f"{at.astimezone(UTC).strftime(STAMP)}-{secrets.token_hex(3)}"


def created(identity: str) -> datetime:
    return datetime.strptime(identity.partition("-")[0], STAMP).replace(tzinfo=UTC)


def write(manifest: Manifest) -> bytes:
    """Return the manifest with its own checksum."""
    whole = {"format": FORMAT, **manifest}
    return json.dumps({**whole, "checksum": _checksum(whole)}, indent=1, sort_keys=True).encode()


def read(content: bytes, identity: str) -> Manifest:
    """Return a manifest, or refuse one that is not what was written."""
    try:
        found: Manifest = json.loads(content)
        told = found.pop("checksum")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise RefusedError(f"The manifest of backup {identity} is cut off or is not a manifest.", ANOTHER) from None
    if told != _checksum(found):
        raise RefusedError(f"The manifest of backup {identity} was changed: its checksum is wrong.", ANOTHER)
    if found["format"] > FORMAT:
        raise RefusedError(
            f"Backup {identity} has format {found['format']}, and this version reads formats up to {FORMAT}.",
            "Use the version of nebari-mlflow that wrote it, or a newer one.",
        )
    if found["id"] != identity:
        raise RefusedError(f"The manifest of backup {identity} is that of {found['id']}.", ANOTHER)
    return found


def _checksum(manifest: Manifest) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def parts(described: Mapping[str, Any]) -> list[Part]:
    """Return the parts that a section of a manifest lists."""
    return [Part(**each) for each in described["parts"]]


def refuse_missing(manifest: Manifest, there: Mapping[str, int | None]) -> None:
    """Refuse a backup whose objects are not all there in their full size; `there` is what lies in its folder."""
    expected = {part.path: part.bytes for section in ("database", "secrets") for part in _of(manifest, section)}
    for path, bytes_ in expected.items():
        if there.get(path) != bytes_:
            has = "is missing" if path not in there else f"has {there[path]} bytes instead of {bytes_}"
            raise RefusedError(f"Backup {manifest['id']} is truncated: {path} {has}.", ANOTHER)


def _of(manifest: Manifest, section: str) -> list[Part]:
    return parts(manifest[section]) if manifest.get(section) else []


def refuse_newer(manifest: Manifest, known: frozenset[str], server: int) -> None:
    """Refuse what this image's MLflow or this PostgreSQL does not know."""
    revision = manifest["schema"]["revision"]
    if revision not in known:
        raise RefusedError(
            f"Backup {manifest['id']} was made by MLflow {manifest['versions']['mlflow']}, whose schema ({revision}) "
            "is newer than this image's MLflow.",
            f"Deploy MLflow {manifest['versions']['mlflow']} or newer, then restore.",
        )
    made_by = int(manifest["versions"]["postgresql"])
    if made_by // 10000 > server // 10000:
        raise RefusedError(
            f"Backup {manifest['id']} is of PostgreSQL {made_by // 10000}, and this database is PostgreSQL "
            f"{server // 10000}.",
            f"Restore into PostgreSQL {made_by // 10000} or newer.",
        )


def expired(identities: Iterable[str], now: datetime, keep_last: int, keep_days: int) -> list[str]:
    """Return the complete backups that retention gives up: older than the days, and not among the last ones.

    0 days keeps by number alone. With both 0 nothing is ever given up.
    """
    newest_first = sorted(identities, reverse=True)
    if not keep_last and not keep_days:
        return []
    candidates = newest_first[max(keep_last, 1) :]  # a clock that jumped must not expire everything
    limit = now - timedelta(days=keep_days)
    return [each for each in candidates if not keep_days or created(each) < limit]


def cut_off(folders: Iterable[str], complete: Iterable[str], now: datetime) -> list[str]:
    """Return the folders of backups that were never finished, once no run can be working on them."""
    rest = {each for each in folders if IDENTITY.fullmatch(each)} - set(complete)
    return sorted(each for each in rest if now - created(each) > HALF_AFTER)
