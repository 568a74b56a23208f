"""Artifacts of S3 pass in blocks: whole or not at all, in order, and a few at a time. Against a simulated S3."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, IncompleteReadError
from moto import mock_aws
from nebari_mlflow_server import streams
from nebari_mlflow_server.streams import BLOCK, PART, Streams

DICE = random.Random(7)  # noqa: S311
CHUNK = 262_144  # what uvicorn reads at most


class Repository:
    """What MLflow's S3ArtifactRepository gives."""

    artifact_uri = "s3://bucket/root"
    _bucket_owner_params: dict[str, str] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.client: Any = boto3.client("s3", region_name="us-east-1")
        self.client.create_bucket(Bucket="bucket")
        self.by_file = 0

    def _get_s3_client(self) -> Any:
        return self.client

    def parse_s3_compliant_uri(self, uri: str) -> tuple[str, str]:
        assert uri == self.artifact_uri
        return "bucket", "root"

    def _upload_file(self, s3_client: Any, local_file: str, bucket: str, key: str) -> None:
        s3_client.upload_file(Filename=local_file, Bucket=bucket, Key=key, ExtraArgs={"ContentType": "a/b"})

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        self.by_file += 1
        self._upload_file(self.client, local_file, "bucket", f"root/{artifact_path}/{local_file.rpartition('/')[2]}")

    def stored(self, key: str) -> bytes:
        found: bytes = self.client.get_object(Bucket="bucket", Key=key)["Body"].read()
        return found


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with mock_aws():
        yield Repository()


async def sent(data: bytes, ends: Exception | None = None) -> AsyncIterator[bytes]:
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]
        await asyncio.sleep(0)
    if ends:
        raise ends
    yield b""


SIZES = [1, CHUNK + 1, PART - 1, PART, PART + 1, 2 * PART + 12_345]


@pytest.mark.parametrize("size", [0, *SIZES])
def test_an_upload_arrives_as_it_was_sent(repository: Repository, size: int) -> None:
    data = DICE.randbytes(size)
    asyncio.run(Streams().upload(repository, sent(data), "a.bin", "1/run/artifacts"))
    assert repository.stored("root/1/run/artifacts/a.bin") == data
    assert repository.client.head_object(Bucket="bucket", Key="root/1/run/artifacts/a.bin")["ContentType"] == "a/b"
    assert not repository.by_file


@pytest.mark.parametrize("size", SIZES)
def test_a_client_that_goes_away_leaves_nothing(repository: Repository, size: int) -> None:
    found = Streams()

    async def upload() -> None:
        with pytest.raises(ConnectionError):
            await found.upload(repository, sent(DICE.randbytes(size), ConnectionError()), "a.bin")

    asyncio.run(upload())
    assert "Contents" not in repository.client.list_objects_v2(Bucket="bucket")
    assert "Uploads" not in repository.client.list_multipart_uploads(Bucket="bucket")
    assert found._up.free == streams.STREAMS


def test_a_cancelled_upload_leaves_nothing_and_frees_its_thread(repository: Repository) -> None:
    found = Streams()

    async def never() -> AsyncIterator[bytes]:
        yield b"some"
        await asyncio.sleep(3600)

    async def upload() -> None:
        task = asyncio.ensure_future(found.upload(repository, never(), "a.bin"))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(found._threads.shutdown)  # waits for the thread

    asyncio.run(upload())
    assert "Contents" not in repository.client.list_objects_v2(Bucket="bucket")


def test_uploads_beyond_the_places_go_by_a_file(repository: Repository) -> None:
    async def upload() -> None:
        found = Streams(2)
        each = [found.upload(repository, sent(b"x" * 1000), f"{number}.bin", "a") for number in range(5)]
        await asyncio.gather(*each)

    asyncio.run(upload())
    assert repository.by_file == 3
    for number in range(5):
        assert repository.stored(f"root/a/{number}.bin") == b"x" * 1000


async def read(found: Streams, repository: Repository, path: str) -> bytes | None:
    object_ = await found.download(repository, path)
    if not object_:
        return None
    try:
        data = b"".join([block async for block in object_[1]])
    finally:
        found.downloaded()
    assert len(data) == object_[0]
    return data


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 7])
def test_a_download_is_what_is_stored(repository: Repository, size: int) -> None:
    data = DICE.randbytes(size)
    repository.client.put_object(Bucket="bucket", Key="root/a b/ü.bin", Body=data)
    found = Streams()
    assert asyncio.run(read(found, repository, "a b/ü.bin")) == data
    assert found._down.free == streams.STREAMS


def test_what_is_not_there_or_empty_goes_the_other_way(repository: Repository) -> None:
    repository.client.put_object(Bucket="bucket", Key="root/empty", Body=b"")
    repository.client.put_object(Bucket="bucket", Key="root/folder/file", Body=b"x")
    found = Streams()
    for path in ("empty", "folder", "missing"):
        assert asyncio.run(read(found, repository, path)) in (None, b""), path
    assert found._down.free == streams.STREAMS


def test_downloads_beyond_the_places_go_the_other_way(repository: Repository) -> None:
    repository.client.put_object(Bucket="bucket", Key="root/a", Body=b"x")

    async def download() -> list[bool]:
        found = Streams(2)
        return [bool(await found.download(repository, "a")) for _ in range(3)]

    assert asyncio.run(download()) == [True, True, False]


class Breaks:
    """A client whose answers break off so many times."""

    def __init__(self, client: Any, times: int) -> None:
        self.client, self.times = client, times

    def get_object(self, **asked: Any) -> Any:
        answer = self.client.get_object(**asked)
        if asked["Range"].startswith(f"bytes={BLOCK}-") and self.times:
            self.times -= 1
            answer["Body"].read = self.broken
        return answer

    def broken(self) -> bytes:
        raise IncompleteReadError(actual_bytes=1, expected_bytes=2)


@pytest.mark.parametrize(("times", "error"), [(1, None), (2, None), (3, IncompleteReadError)])
def test_an_answer_that_breaks_off_is_asked_for_again(
    repository: Repository, times: int, error: type[Exception] | None
) -> None:
    data = DICE.randbytes(3 * BLOCK)
    repository.client.put_object(Bucket="bucket", Key="root/a", Body=data)
    repository.client = Breaks(repository.client, times)
    if error:
        with pytest.raises(error):
            asyncio.run(read(Streams(), repository, "a"))
    else:
        assert asyncio.run(read(Streams(), repository, "a")) == data


def test_an_object_that_is_replaced_meanwhile_is_never_mixed(repository: Repository) -> None:
    repository.client.put_object(Bucket="bucket", Key="root/a", Body=DICE.randbytes(3 * BLOCK))

    async def download() -> None:
        object_ = await Streams().download(repository, "a")
        assert object_
        repository.client.put_object(Bucket="bucket", Key="root/a", Body=DICE.randbytes(3 * BLOCK))
        with pytest.raises(ClientError, match="PreconditionFailed"):
            async for _ in object_[1]:
                pass

    asyncio.run(download())
