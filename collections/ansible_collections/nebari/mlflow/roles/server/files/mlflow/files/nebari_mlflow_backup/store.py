"""Where backups are kept: a volume, or an object store through MLflow's own artifact repositories.

They are what the server reaches the same store with: the same drivers, the same identity, the same variables. They
copy whole files, so everything is kept in parts, and a part is all that ever lies on this pod's disk.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

from mlflow_schema import Database

from nebari_mlflow_backup.report import RefusedError

TRIES = 4
IN_DATABASE = "database:"
"""The store that every deployment has: a table in a schema of our own, which dumps and restores leave alone."""
T = TypeVar("T")


class StoreError(Exception):
    """The store refused or could not be reached; the message is the driver's."""


class Means(Protocol):
    """How objects are reached below one root."""

    def put(self, path: str, content: bytes) -> None: ...
    def get(self, path: str) -> bytes: ...
    def list(self, path: str) -> dict[str, int | None]: ...
    def delete(self, path: str) -> None: ...


class Volume:
    """A mounted volume. What is written is on the disk when `put` returns, whole or not at all."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def put(self, path: str, content: bytes) -> None:
        file = self._root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        # Two threads may write the same content under the same name.
        new = file.with_name(f".{file.name}.{threading.get_ident()}.new")
        try:
            with new.open("wb") as stream:
                stream.write(content)
                os.fsync(stream.fileno())
            new.replace(file)
        except BaseException:
            new.unlink(missing_ok=True)
            raise

    def get(self, path: str) -> bytes:
        return (self._root / path).read_bytes()

    def list(self, path: str) -> dict[str, int | None]:
        folder = self._root / path
        there = list(folder.iterdir()) if folder.is_dir() else []
        kept = [each for each in there if not each.name.startswith(".") and each.name != "lost+found"]
        return {each.name: None if each.is_dir() else each.stat().st_size for each in kept}

    def delete(self, path: str) -> None:
        place = self._root / path
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


class Repository:
    """An object store, as MLflow's server reaches it."""

    def __init__(self, uri: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository  # 4 s of CPU

        self._repository: Any = get_artifact_repository(uri)

    def put(self, path: str, content: bytes) -> None:
        parent, _, name = path.rpartition("/")
        with TemporaryDirectory() as folder:
            file = Path(folder, name)
            file.write_bytes(content)
            self._repository.log_artifact(str(file), parent or None)

    def get(self, path: str) -> bytes:
        with TemporaryDirectory() as folder:
            file = Path(folder, "object")
            self._repository._download_file(path, str(file))
            return file.read_bytes()

    def list(self, path: str) -> dict[str, int | None]:
        found = self._repository.list_artifacts(path or None)
        return {PurePosixPath(each.path).name: None if each.is_dir else int(each.file_size or 0) for each in found}

    def delete(self, path: str) -> None:
        self._repository.delete_artifacts(path)


class Table:
    """A table of the database. Its own connection: the one that is dumped holds a snapshot."""

    SCHEMA = "nebari_mlflow_backups"

    def __init__(self, connect: Callable[[], Database]) -> None:
        self._database = connect()
        self._is_there = False

    def _create(self) -> None:
        if self._is_there:
            return
        name = f"{self.SCHEMA}.objects"
        self._database.query(
            f"CREATE SCHEMA IF NOT EXISTS {self.SCHEMA}; "
            f"CREATE TABLE IF NOT EXISTS {name} (path text PRIMARY KEY, content bytea NOT NULL); "
            f"ALTER TABLE {name} ALTER COLUMN content SET STORAGE EXTERNAL; SELECT 1"  # a dump is compressed already
        )
        self._is_there = True

    def _exists(self) -> bool:
        return bool(self._database.query("SELECT to_regclass(%s) IS NOT NULL", f"{self.SCHEMA}.objects")[0][0])

    def put(self, path: str, content: bytes) -> None:
        self._create()
        self._database.query(
            f"INSERT INTO {self.SCHEMA}.objects VALUES (%s, %s) "  # noqa: S608 (a name of ours)
            "ON CONFLICT (path) DO UPDATE SET content = excluded.content RETURNING 1",
            path,
            content,
        )

    def get(self, path: str) -> bytes:
        statement = f"SELECT content FROM {self.SCHEMA}.objects WHERE path = %s"  # noqa: S608
        rows = self._database.query(statement, path) if self._exists() else []
        if not rows:
            raise FileNotFoundError(errno.ENOENT, "No such object", path)
        return bytes(rows[0][0])

    def list(self, path: str) -> dict[str, int | None]:
        if not self._exists():
            return {}
        start = f"{path}/" if path else ""
        found: dict[str, int | None] = {}
        statement = f"SELECT path, octet_length(content) FROM {self.SCHEMA}.objects"  # noqa: S608
        for name, length in self._database.query(statement):
            first, deeper, _ = str(name).removeprefix(start).partition("/")
            if str(name).startswith(start):
                found[first] = None if deeper else int(length)
        return found

    def delete(self, path: str) -> None:
        if self._exists():
            statement = (
                f"DELETE FROM {self.SCHEMA}.objects "  # noqa: S608
                "WHERE path = %s OR starts_with(path, %s) RETURNING 1"
            )
            self._database.query(statement, path, f"{path}/")


class Store:
    """Objects by path below one URI; a moment's trouble is waited out."""

    def __init__(self, uri: str, connect: Callable[[], Database] | None = None) -> None:
        self.uri = uri.rstrip("/")
        self._means: Means
        if self.uri == IN_DATABASE and connect is not None:
            self._means = Table(connect)
        else:
            self._means = Repository(self.uri) if "://" in self.uri else Volume(self.uri)

    def put(self, path: str, content: bytes) -> None:
        """Write one object."""
        self._try(f"write {path}", lambda: self._means.put(path, content))

    def get(self, path: str) -> bytes:
        """Read one object."""
        return self._try(f"read {path}", lambda: self._means.get(path))

    def list(self, path: str = "") -> dict[str, int | None]:
        """Return what lies directly below a path: the size of each object, None for a folder."""
        return self._try(f"list {path or 'it'}", lambda: self._means.list(path))

    def delete(self, path: str) -> None:
        """Delete an object, or a folder with what is in it."""
        self._try(f"delete {path}", lambda: self._means.delete(path))

    def _try(self, what: str, action: Callable[[], T]) -> T:
        for attempt in range(1, TRIES + 1):
            try:
                return action()
            except Exception as error:
                if attempt == TRIES or _is_definite(error):
                    lines = str(error).strip().splitlines() or [type(error).__name__]
                    raise StoreError(f"{self.uri}: cannot {what}: {lines[0][:500]}") from error
                time.sleep(2**attempt / 2)
        raise AssertionError


def _is_definite(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.EACCES, errno.EROFS, errno.ENOSPC):
        return True
    words = ("AccessDenied", "NoSuchBucket", "NoSuchKey", "404", "403", "No such file", "InvalidAccessKeyId")
    return any(word in str(error) for word in words)


def destination(environ: dict[str, str]) -> str:
    """Return where this release's backups are; each release has a folder of its own."""
    root = environ.get("BACKUP_DESTINATION", "").rstrip("/")
    if not root and environ.get("ARTIFACTS_DESTINATION", "").startswith("/"):
        raise RefusedError(
            "There is no volume for backups.",
            "Set backup.volume.create to true, or backup.destination to a bucket (s3://backups/mlflow), and deploy.",
        )
    if not root:
        raise RefusedError(
            "There is no place for backups: storage.uri is a whole bucket, and what lies in it can be read and "
            "deleted by every client of MLflow.",
            "Set backup.destination to another bucket, such as s3://backups/mlflow, and deploy.",
        )
    return f"{root}/{environ['BACKUP_OF']}"
