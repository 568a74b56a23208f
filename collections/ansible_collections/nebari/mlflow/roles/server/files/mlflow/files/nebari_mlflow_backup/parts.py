"""A stream as a row of objects, each with its own checksum: memory holds a few parts, however long it is."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from nebari_mlflow_backup.report import RefusedError
from nebari_mlflow_backup.store import Store

SIZE = 16 * 1024 * 1024
AHEAD = 3  # parts that are checked and written while the next one is read


@dataclass(frozen=True)
class Part:
    """One object: its path below the set's folder or the store's root."""

    path: str
    bytes: int
    sha256: str

    def report(self) -> dict[str, Any]:
        return asdict(self)


def read_exactly(read: Callable[[int], bytes], size: int = SIZE) -> bytes:
    """Read until `size` bytes are there or the stream ends."""
    pieces, left = [], size
    while left and (piece := read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


class Writer:
    """Checks and writes parts while the next ones are read, of one file or of several. At the end all are written."""

    def __init__(self, put: Callable[[str, bytes], None]) -> None:
        self._put = put
        self._waiting: list[Future[Part]] = []

    def __enter__(self) -> Writer:
        self._pool = ThreadPoolExecutor(AHEAD)
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown(cancel_futures=failure is not None)
        if failure is None:
            for each in self._waiting:
                each.result()

    def put(self, content: bytes, name: Callable[[str], str]) -> Future[Part]:
        """Begin to write a part, whose path `name` gives from its checksum; raise what an earlier one met."""
        if len(self._waiting) >= AHEAD:
            self._waiting.pop(0).result()
        self._waiting.append(self._pool.submit(self._write, content, name))
        return self._waiting[-1]

    def _write(self, content: bytes, name: Callable[[str], str]) -> Part:
        digest = hashlib.sha256(content).hexdigest()
        part = Part(name(digest), len(content), digest)
        self._put(part.path, content)
        return part


def cut(
    read: Callable[[int], bytes],
    writer: Writer,
    name: Callable[[int, str], str],
    said: Callable[[int], None] = lambda _total: None,
) -> list[Future[Part]]:
    """Cut a stream. `name` gives a part's path from its number and checksum; `said` hears of every part."""
    found: list[Future[Part]] = []
    total = 0
    while content := read_exactly(read):
        found.append(writer.put(content, functools.partial(name, len(found))))
        total += len(content)
        said(total)
    return found


def write(
    read: Callable[[int], bytes],
    put: Callable[[str, bytes], None],
    name: Callable[[int, str], str],
    said: Callable[[int], None] = lambda _total: None,
) -> list[Part]:
    """Cut a stream, and return its parts once all of them are written."""
    with Writer(put) as writer:
        pieces = cut(read, writer, name, said)
    return [piece.result() for piece in pieces]


def read(store: Store, folder: str, parts: list[Part]) -> Iterator[bytes]:
    """Yield each part once it is whole; raise RefusedError for one that is not what was written."""
    for part in parts:
        content = store.get(f"{folder}{part.path}")
        if len(content) != part.bytes:
            raise RefusedError(
                f"{folder}{part.path} has {len(content)} bytes instead of {part.bytes}: the backup is truncated.",
                "Use another backup: nebari-mlflow backup list.",
            )
        if hashlib.sha256(content).hexdigest() != part.sha256:
            raise RefusedError(
                f"{folder}{part.path} does not have the checksum of the manifest: the backup was changed.",
                "Use another backup: nebari-mlflow backup list.",
            )
        yield content
