"""Let artifacts of S3 pass through a worker in blocks.

MLflow writes each of them to /tmp first, and begins with the second half of its way when the first has ended. Here both
halves run at the same time, and a transfer takes a few blocks of memory and no disk. Only STREAMS of them in each
direction do, so that memory stays flat; the others, other stores and whatever is unusual go MLflow's own way.
"""

from __future__ import annotations

import asyncio
import io
import json
import posixpath
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

STREAMS = 4
MEBIBYTE = 1 << 20
PART = 8 * MEBIBYTE
"""Of an upload. S3 takes 10,000 of them, so an artifact has at most 78 GiB."""
PARTS_IN_MEMORY = 2
BLOCK = 4 * MEBIBYTE
TRIES = 3
ROUTES = ("/api/2.0/mlflow-artifacts/artifacts/", "/ajax-api/2.0/mlflow-artifacts/artifacts/")


class Places:
    """How many more transfers of a direction may pass in blocks; for the event loop's thread alone."""

    def __init__(self, count: int = STREAMS) -> None:
        self.free = count

    def taken(self) -> bool:
        """Take one; False if none is free."""
        if self.free < 1:
            return False
        self.free -= 1
        return True

    def give_back(self) -> None:
        self.free += 1


class Incoming(io.RawIOBase):
    """What a client sends to the event loop, as a file that a thread reads."""

    def __init__(self, chunks: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._chunks, self._loop = chunks, loop
        self._kept, self._ended, self._stopped = b"", False, False
        self._waiting: Future[bytes] | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Return as much as is asked for, less only at the end. A client that goes away is an error."""
        wanted = float("inf") if size is None or size < 0 else size
        while len(self._kept) < wanted and not self._ended:
            self._waiting = asyncio.run_coroutine_threadsafe(self._more(wanted - len(self._kept)), self._loop)
            if self._stopped:
                self._waiting.cancel()
            self._kept += self._waiting.result()
        end = len(self._kept) if wanted == float("inf") else int(wanted)
        found, self._kept = self._kept[:end], self._kept[end:]
        return found

    def stop(self) -> None:
        """Let the thread read no more; nobody is there to send."""
        self._stopped = True
        if self._waiting:
            self._waiting.cancel()

    async def _more(self, wanted: float) -> bytes:
        found: list[bytes] = []
        async for chunk in self._chunks:
            found.append(chunk)
            wanted -= len(chunk)
            if wanted <= 0:
                break
        else:
            self._ended = True
        return b"".join(found)


class InPlaceOfFile:
    """Gives MLflow's upload of a file a stream to send instead, with all that it says about the file."""

    def __init__(self, client: Any, stream: Incoming) -> None:
        self._client, self._stream = client, stream

    def upload_file(self, *, Filename: str, Bucket: str, Key: str, ExtraArgs: dict[str, Any]) -> None:  # noqa: ARG002, N803
        from boto3.s3.transfer import TransferConfig

        config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=PARTS_IN_MEMORY)
        config.max_in_memory_upload_chunks = PARTS_IN_MEMORY
        self._client.upload_fileobj(self._stream, Bucket, Key, ExtraArgs=ExtraArgs, Config=config)


class Remote:
    """An object in S3, read in blocks. It stays the same one: a read fails once somebody has replaced it."""

    def __init__(self, repository: Any, path: str) -> None:
        self._client = repository._get_s3_client()
        bucket, root = repository.parse_s3_compliant_uri(repository.artifact_uri)
        self._object = {"Bucket": bucket, "Key": posixpath.join(root, path), **repository._bucket_owner_params}
        self.size = BLOCK

    def read(self, offset: int) -> bytes:
        """Return a block, less only at the end."""
        from botocore.exceptions import BotoCoreError

        for again in reversed(range(TRIES)):
            answer = self._client.get_object(Range=f"bytes={offset}-{offset + BLOCK - 1}", **self._object)
            self._object["IfMatch"] = answer["ETag"]
            self.size = int(answer["ContentRange"].rpartition("/")[2])
            try:
                found: bytes = answer["Body"].read()
            except BotoCoreError:  # it broke off; what goes wrong before is tried again by the client itself
                if not again:
                    raise
            else:
                break
        return found


class Streams:
    """The transfers of a worker."""

    def __init__(self, streams: int = STREAMS) -> None:
        self._up, self._down = Places(streams), Places(streams)
        # Of their own: a client that is slow to send must not hold one of the few threads that all others share.
        self._threads = ThreadPoolExecutor(2 * streams, "nebari-mlflow-streams")

    async def upload(
        self, repository: Any, chunks: AsyncIterator[bytes], artifact_file_name: str, artifact_path: str | None = None
    ) -> None:
        """Send what comes to the store while it comes. The store keeps it when it is whole, or nothing."""
        name = posixpath.basename(artifact_file_name)
        if not self._up.taken():
            await _by_file(repository, chunks, name, artifact_path)
            return
        loop = asyncio.get_running_loop()
        stream = Incoming(chunks, loop)
        try:
            await loop.run_in_executor(self._threads, _send, repository, stream, name, artifact_path)
        finally:
            stream.stop()
            self._up.give_back()

    async def download(self, repository: Any, path: str) -> tuple[int, AsyncIterator[bytes]] | None:
        """Return an object's size and its blocks; None if this is not the way. The blocks must be read or closed."""
        from botocore.exceptions import ClientError

        if not self._down.taken():
            return None
        found = Remote(repository, path)
        loop = asyncio.get_running_loop()
        try:
            first = await loop.run_in_executor(self._threads, found.read, 0)
        except (ClientError, KeyError):  # MLflow's own way says what is wrong
            self._down.give_back()
            return None
        except BaseException:
            self._down.give_back()
            raise
        return found.size, self._blocks(found, first)

    async def _blocks(self, found: Remote, block: bytes) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        offset = 0
        while True:
            offset += len(block)
            ahead = loop.run_in_executor(self._threads, found.read, offset) if offset < found.size else None
            for start in range(0, len(block), MEBIBYTE):
                yield block[start : start + MEBIBYTE]
            if ahead is None:
                return
            block = await ahead

    def downloaded(self) -> None:
        self._down.give_back()


def _send(repository: Any, stream: Incoming, name: str, artifact_path: str | None) -> None:
    bucket, root = repository.parse_s3_compliant_uri(repository.artifact_uri)
    key = posixpath.join(root, artifact_path or "", name)
    client = InPlaceOfFile(repository._get_s3_client(), stream)
    repository._upload_file(s3_client=client, local_file=name, bucket=bucket, key=key)


async def _by_file(repository: Any, chunks: AsyncIterator[bytes], name: str, artifact_path: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        with path.open("wb") as file:
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)
        await asyncio.to_thread(repository.log_artifact, str(path), artifact_path=artifact_path)


def install(app: Any) -> None:
    """Let uploads and downloads of S3 pass in blocks. The paths stay MLflow's, and so does who may use them."""
    from botocore.exceptions import BotoCoreError
    from fastapi.routing import APIRoute
    from mlflow.exceptions import MlflowException
    from mlflow.server import artifact_router as theirs
    from mlflow.store.artifact.artifact_repo import StreamUploadMixin
    from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository
    from mlflow.utils.mime_type_utils import _guess_mime_type
    from mlflow.utils.uri import validate_path_is_safe
    from starlette.responses import JSONResponse, Response, StreamingResponse

    streams = Streams()

    class Blocks(StreamingResponse):  # type: ignore[misc]
        """Gives its place back however it ends."""

        async def __call__(self, *arguments: Any) -> None:
            try:
                await super().__call__(*arguments)
            finally:
                streams.downloaded()

    async def log_artifact_from_async_stream(self: Any, *arguments: Any, **named: Any) -> None:
        await streams.upload(self, *arguments, **named)

    async def download(artifact_path: str) -> Response:
        repository = theirs._get_artifact_repo()
        if isinstance(repository, S3ArtifactRepository):
            try:
                path = theirs._get_workspace_scoped_path(validate_path_is_safe(artifact_path))
            except MlflowException:
                return await theirs.download_artifact(artifact_path)
            try:
                found = await streams.download(repository, path)
            except BotoCoreError as error:
                failure = MlflowException(f"The artifact store does not answer: {error}")
                return JSONResponse(json.loads(failure.serialize_as_json()), failure.get_http_status_code())
            if found:
                headers = {
                    "Content-Length": str(found[0]),
                    "Content-Type": _guess_mime_type(path),
                    "Content-Disposition": theirs._content_disposition(posixpath.basename(path)),
                    "X-Content-Type-Options": "nosniff",
                }
                return Blocks(found[1], headers=headers)
        return await theirs.download_artifact(artifact_path)

    StreamUploadMixin.register(S3ArtifactRepository)
    S3ArtifactRepository.log_artifact_from_async_stream = log_artifact_from_async_stream
    for route in ROUTES:
        path = route + "{artifact_path:path}"
        own = APIRoute(path, download, methods=["GET"], response_model=None, include_in_schema=False)
        app.router.routes.insert(0, own)
