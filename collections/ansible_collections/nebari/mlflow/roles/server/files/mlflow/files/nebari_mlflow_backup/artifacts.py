"""MLflow's artifacts, copied incrementally: what a file is cut into is stored once, under its checksum.

The repositories of MLflow copy whole files through a disk, and list one folder at a time. A file of 5 GB must not need
5 GB here, so their clients are used directly: what they connect with stays MLflow's.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from nebari_mlflow_backup import parts
from nebari_mlflow_backup.parts import Part
from nebari_mlflow_backup.report import Progress, RefusedError, size
from nebari_mlflow_backup.store import Store

PART = 8 << 20  # bytes of a file that are in memory while it is uploaded
WRITING = ".mlflow-writing-"  # what a run that was cut off left is no artifact


@dataclass(frozen=True)
class File:
    """One artifact: its path below the artifact root, and a tag that changes when its content does."""

    path: str
    bytes: int
    tag: str


class Files(Protocol):
    """An artifact store as files that are streamed."""

    def list(self) -> Iterator[File]: ...
    def open(self, path: str) -> IO[bytes]: ...
    def write(self, path: str, content: IO[bytes]) -> None: ...


class LocalFiles:
    """A mounted volume."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def list(self) -> Iterator[File]:
        if not self._root.exists():
            return
        for folder, folders, names in os.walk(self._root, onerror=_fail):
            if "lost+found" in folders:
                folders.remove("lost+found")  # of the file system, and only root reads it
            for name in sorted(names):
                file = Path(folder, name)
                found = file.lstat()
                if file.is_file() and not file.is_symlink() and not name.startswith(WRITING):
                    yield File(str(file.relative_to(self._root)), found.st_size, f"{found.st_mtime_ns}")

    def open(self, path: str) -> IO[bytes]:
        return (self._root / path).open("rb")

    def write(self, path: str, content: IO[bytes]) -> None:
        file = self._root / path
        if ".." in Path(path).parts or Path(path).is_absolute():
            raise RefusedError(f"The backup names a file outside the artifact store: {path!r}.", "Use another backup.")
        file.parent.mkdir(parents=True, exist_ok=True)
        # A name that fits beside the longest one, and that no other file has which is written at the same time.
        new = file.with_name(WRITING + hashlib.sha256(os.fsencode(file.name)).hexdigest())
        with new.open("wb") as stream:
            while piece := content.read(1 << 20):
                stream.write(piece)
        new.replace(file)


def _fail(error: OSError) -> None:
    raise error  # os.walk passes over what it cannot read


class S3Files:
    """A bucket of S3, through boto3."""

    def __init__(self, client: Any, bucket: str, root: str) -> None:
        self._client, self._bucket = client, bucket
        self._root = f"{root}/" if root else ""

    @classmethod
    def of_repository(cls, repository: Any, uri: str) -> S3Files:
        return cls(repository._get_s3_client(), *repository.parse_s3_compliant_uri(uri))

    def list(self) -> Iterator[File]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._root)
        for page in pages:
            for each in page.get("Contents", []):
                yield File(each["Key"].removeprefix(self._root), int(each["Size"]), str(each["ETag"]).strip('"'))

    def open(self, path: str) -> IO[bytes]:
        body: IO[bytes] = self._client.get_object(Bucket=self._bucket, Key=f"{self._root}{path}")["Body"]
        return body

    def write(self, path: str, content: IO[bytes]) -> None:
        from boto3.s3.transfer import TransferConfig

        # Its threads would hold ten parts of each file in memory.
        one_part = TransferConfig(use_threads=False)
        self._client.upload_fileobj(content, self._bucket, f"{self._root}{path}", Config=one_part)


class GcsFiles:
    """A bucket of Google Cloud Storage."""

    def __init__(self, repository: Any, uri: str) -> None:
        name, root = repository.parse_gcs_uri(uri)
        self._bucket = repository.client.bucket(name)
        self._client, self._root = repository.client, f"{root}/" if root else ""

    def list(self) -> Iterator[File]:
        for blob in self._client.list_blobs(self._bucket, prefix=self._root):
            yield File(blob.name.removeprefix(self._root), int(blob.size), str(blob.generation))

    def open(self, path: str) -> IO[bytes]:
        stream: IO[bytes] = self._bucket.blob(f"{self._root}{path}").open("rb")
        return stream

    def write(self, path: str, content: IO[bytes]) -> None:
        with self._bucket.blob(f"{self._root}{path}").open("wb", chunk_size=PART) as stream:
            while piece := content.read(1 << 20):
                stream.write(piece)


class AzureFiles:
    """A container of Azure Blob Storage."""

    def __init__(self, repository: Any, uri: str) -> None:
        name, _, root, _ = repository.parse_wasbs_uri(uri)
        self._container, self._root = repository.client.get_container_client(name), f"{root}/" if root else ""

    def list(self) -> Iterator[File]:
        for blob in self._container.list_blobs(name_starts_with=self._root):
            yield File(blob.name.removeprefix(self._root), int(blob.size), str(blob.etag))

    def open(self, path: str) -> IO[bytes]:
        return io.BufferedReader(_Chunks(self._container.download_blob(f"{self._root}{path}").chunks()))

    def write(self, path: str, content: IO[bytes]) -> None:
        self._container.upload_blob(f"{self._root}{path}", content, overwrite=True)


KINDS: dict[str, Callable[[Any, str], Files]] = {"s3": S3Files.of_repository, "gs": GcsFiles, "wasbs": AzureFiles}


def of_store(uri: str) -> Files:
    """Return the files below an artifact root."""
    if "://" not in uri:
        return LocalFiles(uri)
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    kind = KINDS.get(uri.partition("://")[0])
    if kind is None:
        raise RefusedError(
            f"Artifacts at {uri} cannot be copied.", "Set backup.artifacts to none and use the store's own means."
        )
    return kind(get_artifact_repository(uri), uri)


class _Chunks(io.RawIOBase):
    """An iterator of bytes as a stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        taken = self._rest[: len(buffer)]
        self._rest = self._rest[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)


def place(digest: str) -> str:
    """Return where an object of this content is."""
    return f"objects/{digest[:2]}/{digest}"


class Objects:
    """What the store holds already; each folder is listed once."""

    def __init__(self, store: Store) -> None:
        self._store, self._listed = store, {}  # type: Store, dict[str, dict[str, int | None]]
        self.written = 0

    def has(self, digest: str, bytes_: int) -> bool:
        folder = digest[:2]
        if folder not in self._listed:
            self._listed[folder] = self._store.list(f"objects/{folder}")
        return self._listed[folder].get(digest) == bytes_

    def put(self, path: str, content: bytes) -> None:
        digest = path.rpartition("/")[2]
        if not self.has(digest, len(content)):
            self._store.put(path, content)
            self._listed[digest[:2]][digest] = len(content)
            self.written += len(content)


Listing = dict[str, dict[str, Any]]


def copy(files: Files, store: Store, before: Listing, progress: Progress) -> tuple[Listing, int]:
    """Copy what is new; return every file with its parts, and the bytes that were written."""
    objects, found, total, count = Objects(store), {}, 0, 0  # type: Objects, Listing, int, int
    copied: deque[tuple[File, list[Future[Part]]]] = deque()

    def write_down() -> None:
        file, pieces = copied.popleft()
        listed = [piece.result() for piece in pieces]
        read = sum(piece.bytes for piece in listed)
        found[file.path] = {**asdict(file), "bytes": read, "parts": [piece.report() for piece in listed]}

    with parts.Writer(objects.put) as writer:
        for file in files.list():
            if file.path.endswith("/"):
                continue  # by which some tools mark a folder of a bucket; a volume has no file of that name
            known = before.get(file.path)
            if known and (known["bytes"], known["tag"]) == (file.bytes, file.tag) and _there(objects, known):
                found[file.path] = known
            else:
                with files.open(file.path) as stream:
                    copied.append((file, parts.cut(stream.read, writer, lambda _n, digest: place(digest))))
            while copied and all(piece.done() for piece in copied[0][1]):
                write_down()
            total, count = total + file.bytes, count + 1
            progress.say("copying artifacts", f"{count} files, {size(total)}, {size(objects.written)} new")
    while copied:
        write_down()
    return found, objects.written


def _there(objects: Objects, known: dict[str, Any]) -> bool:
    return all(objects.has(part["path"].rpartition("/")[2], part["bytes"]) for part in known["parts"])


def put_back(files: Files, store: Store, listing: Listing, progress: Progress) -> dict[str, int]:
    """Write back what is missing or differs in size; nothing is removed."""
    there = {file.path: file for file in files.list()}
    done = {"files": len(listing), "restored": 0, "bytes": 0}
    for path, known in listing.items():
        now = there.get(path)
        if now and now.bytes == known["bytes"] and (now.tag == known["tag"] or same(files, path, known)):
            continue
        content = io.BufferedReader(_Chunks(parts.read(store, "", [Part(**each) for each in known["parts"]])))
        files.write(path, content)
        done["restored"] += 1
        done["bytes"] += int(known["bytes"])
        progress.say("writing artifacts back", f"{done['restored']} files, {size(done['bytes'])}")
    return done


def same(files: Files, path: str, known: dict[str, Any]) -> bool:
    """Say whether a file has the content that the listing says."""
    with files.open(path) as stream:
        pieces = parts.write(stream.read, lambda _path, _content: None, lambda _n, digest: place(digest))
    return bool([piece.report() for piece in pieces] == known["parts"])


def pack(listing: Listing) -> bytes:
    return gzip.compress(json.dumps(listing, sort_keys=True).encode(), mtime=0)


def unpack(content: bytes) -> Listing:
    found: Listing = json.loads(gzip.decompress(content))
    return found
