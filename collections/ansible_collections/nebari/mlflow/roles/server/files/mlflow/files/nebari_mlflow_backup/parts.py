"""A stream as a row of objects, each with its own checksum: memory and disk hold two parts at most."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from nebari_mlflow_backup.report import RefusedError
from nebari_mlflow_backup.store import Store

SIZE = 16 * 1024 * 1024
AHEAD = 2  # parts that are written while the next one is read


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


def write(
    read: Callable[[int], bytes],
    put: Callable[[str, bytes], None],
    name: Callable[[int, str], str],
    said: Callable[[int], None] = lambda _total: None,
) -> list[Part]:
    """Write a stream. `name` gives a part's path from its number and checksum; `said` hears of every part."""
    found: list[Part] = []
    waiting: list[Future[None]] = []
    total = 0
    with ThreadPoolExecutor(AHEAD) as pool:
        while content := read_exactly(read):
            digest = hashlib.sha256(content).hexdigest()
            part = Part(name(len(found), digest), len(content), digest)
            if len(waiting) >= AHEAD:
                waiting.pop(0).result()
            waiting.append(pool.submit(put, part.path, content))
            found.append(part)
            total += len(content)
            said(total)
        for each in waiting:
            each.result()
    return found


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
