"""Copy every artifact of the old store into the new one, and compare both sides, file by file.

What a run that was cut off has copied is read, compared and kept. Nothing is deleted on either side.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any
from urllib.parse import urlsplit

from nebari_mlflow_backup.artifacts import File, Files, LocalFiles, S3Files, of_store
from nebari_mlflow_backup.report import Progress, RefusedError, end, size

TOGETHER = 8  # files that are copied at the same time
PIECE = 1 << 20
MARGIN = 64 * PIECE


class Hashing(io.RawIOBase):
    """A stream that knows the checksum of what was read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.sha256, self.bytes = stream, hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        self.sha256.update(piece)
        self.bytes += len(piece)
        return len(piece)


def old_store() -> Files:
    """Return the old store; its keys are not those of the new one."""
    uri = os.environ["OLD_URI"]
    if os.environ.get("OLD_FOLDER") is not None:
        return LocalFiles(os.path.normpath(f"/mlflow/old/{os.environ['OLD_FOLDER']}"))
    import boto3
    from botocore.config import Config

    session = boto3.session.Session(os.environ["OLD_ACCESS_KEY_ID"], os.environ["OLD_SECRET_ACCESS_KEY"])
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, max_pool_connections=TOGETHER * 2)
    endpoint = os.environ.get("OLD_ENDPOINT") or None
    client = session.client("s3", endpoint_url=endpoint, region_name="us-east-1" if endpoint else None, config=config)
    parts = urlsplit(uri)
    return S3Files(client, parts.netloc, parts.path.strip("/"))


def checksum(files: Files, path: str) -> str:
    with files.open(path) as stream:
        reading = Hashing(stream)
        while reading.read(PIECE):
            pass
    return reading.sha256.hexdigest()


def copy(file: File, old: Files, new: Files, there: dict[str, int]) -> tuple[str, str, bool]:
    """Copy one file unless it is there; return the checksums of both sides, each as it is read back."""
    if there.get(file.path) == file.bytes:
        before, after = checksum(old, file.path), checksum(new, file.path)
        if before == after:
            return before, after, False
    with old.open(file.path) as stream:
        reading = Hashing(stream)
        new.write(file.path, io.BufferedReader(reading, PIECE))
    if reading.bytes != file.bytes:
        raise OSError(f"{file.path} has {file.bytes} bytes, and {reading.bytes} of them could be read")
    return reading.sha256.hexdigest(), checksum(new, file.path), True


def batches(files: list[File]) -> Iterator[list[File]]:
    for start in range(0, len(files), TOGETHER * 16):
        yield files[start : start + TOGETHER * 16]


def refuse_full(uri: str, missing: int) -> None:
    """Refuse before the first byte if the new volume has no room."""
    if "://" in uri or missing == 0:
        return
    free = shutil.disk_usage(uri).free
    if free < missing + MARGIN:
        raise RefusedError(
            f"The artifacts that are not copied yet hold {size(missing)}, and the new volume has {size(free)} left.",
            "Delete the volume that was begun (kubectl delete pvc, it is named in the documentation), make the new "
            "one larger (mlflow_local_size or storage.volume.size), and run the adoption again.",
        )


def run(progress: Progress) -> dict[str, Any]:
    """Copy, and return both sides: files, bytes, and a checksum over all names, sizes and contents."""
    uri = os.environ["ARTIFACTS_DESTINATION"]
    progress.say("listing the artifacts")
    old, new = old_store(), of_store(uri)
    files = sorted((file for file in old.list() if not file.path.endswith("/")), key=lambda file: file.path)
    there = {file.path: file.bytes for file in new.list()}
    refuse_full(uri, sum(file.bytes for file in files if there.get(file.path) != file.bytes))
    sides = {"old": hashlib.sha256(), "new": hashlib.sha256()}
    done, bytes_, copied, different = 0, 0, 0, []
    with ThreadPoolExecutor(TOGETHER) as pool:
        for batch in batches(files):
            found = list(pool.map(lambda file: copy(file, old, new, there), batch))
            for file, (before, after, written) in zip(batch, found, strict=True):
                for side, digest in (("old", before), ("new", after)):
                    sides[side].update(f"{file.path}\0{file.bytes}\0{digest}\n".encode())
                if before != after:
                    different.append(file.path)
                done, bytes_, copied = done + 1, bytes_ + file.bytes, copied + written
            progress.say("copying artifacts", f"{done} of {len(files)} files, {size(bytes_)}")
    os.sync()
    kept = {file.path for file in new.list()}
    missing = [file.path for file in files if file.path not in kept]
    if different or missing:
        wrong = (different + missing)[0]
        raise OSError(f"{len(different) + len(missing)} artifacts differ after the copy, the first one is {wrong}")
    both = {side: {"files": done, "bytes": bytes_, "checksum": each.hexdigest()} for side, each in sides.items()}
    return {**both, "copied": copied, "others": len(kept) - done, "seconds": round(progress.elapsed(), 1)}


def main() -> int:
    """Run; 78 is a failure that another try would not cure."""
    try:
        end({"verb": "adopt", "result": "ok", **run(Progress())})
    except RefusedError as error:
        end({"verb": "adopt", "result": "failed", "cause": error.cause, "fix": error.fix})
        return 78
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        print(f"ERROR: {type(error).__name__}: {lines[0][:500]}", flush=True)
        cause = f"The artifacts could not be copied: {type(error).__name__}: {lines[0][:500]}"
        end({"verb": "adopt", "result": "failed", "cause": cause, "fix": ""})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
