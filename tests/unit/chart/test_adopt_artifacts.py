"""What an adoption's Job does with artifacts, on real folders and a real S3 server on loopback."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from nebari_mlflow_backup import artifacts

from tests.support import ROOT

SCRIPT = ROOT / "collections/ansible_collections/nebari/mlflow/roles/adopt/files/artifacts.py"
KEYS = {"aws_access_key_id": "old", "aws_secret_access_key": "old-secret"}
FILES = {
    "1/run/artifacts/empty.txt": b"",
    "1/run/artifacts/folder/file with é 'quotes'%.txt": b"text",
    "2/run/artifacts/large.bin": os.urandom(9 << 20),  # more than a part of an upload
}


def script() -> ModuleType:
    found = importlib.util.spec_from_file_location("adopt_artifacts", SCRIPT)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with a new store on a folder."""
    module = script()
    (tmp_path / "new").mkdir()
    monkeypatch.setenv("ARTIFACTS_DESTINATION", str(tmp_path / "new"))
    monkeypatch.setenv("TERMINATION_MESSAGE", str(tmp_path / "said"))
    monkeypatch.setenv("OLD_URI", str(tmp_path / "old"))
    monkeypatch.setattr(module, "old_store", lambda: artifacts.LocalFiles(str(tmp_path / "old")))
    return module


def write(root: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def read(root: Path) -> dict[str, bytes]:
    return {str(each.relative_to(root)): each.read_bytes() for each in root.rglob("*") if each.is_file()}


def run(job: ModuleType, folder: Path) -> tuple[int, dict[str, Any]]:
    code = job.main()
    found: dict[str, Any] = json.loads((folder / "said").read_text())
    return code, found


def test_artifacts_arrive_whole_and_only_once(job: ModuleType, tmp_path: Path) -> None:
    write(tmp_path / "old", FILES)
    code, first = run(job, tmp_path)
    assert (code, first["copied"], first["old"]) == (0, 3, first["new"])
    assert first["new"]["files"] == 3
    assert read(tmp_path / "new") == FILES
    again = run(job, tmp_path)[1]
    assert again == {**first, "copied": 0, "seconds": again["seconds"]}


def test_a_copy_that_was_cut_off_is_finished(job: ModuleType, tmp_path: Path) -> None:
    write(tmp_path / "old", FILES)
    paths = list(FILES)
    half = {paths[1]: b"TEXT", paths[2]: FILES[paths[2]][:100], f"2/run/artifacts/{artifacts.WRITING}large.bin": b"x"}
    write(tmp_path / "new", half)
    code, found = run(job, tmp_path)
    assert (code, found["copied"], found["old"]) == (0, 3, found["new"])
    assert {path: read(tmp_path / "new")[path] for path in FILES} == FILES


def test_a_folder_that_cannot_be_read_is_not_passed_over(
    job: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "old", FILES)
    original = os.scandir

    def scandir(path: Any) -> Any:
        """Root reads everything, and the tests may be root's."""
        if str(path).endswith("/old/2"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    code, found = run(job, tmp_path)
    assert code == 1
    assert "Permission denied" in found["cause"]


def test_a_full_volume_is_refused_before_the_first_byte(
    job: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "old", FILES)
    monkeypatch.setattr(job.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 70 << 20})())
    code, found = run(job, tmp_path)
    assert code == 78
    assert "9.0 MiB" in found["cause"]
    assert read(tmp_path / "new") == {}


def test_a_copy_that_differs_is_an_error(job: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "old", FILES)

    def wrong(self: Any, path: str, content: Any) -> None:
        write(self._root, {path: content.read().upper()})

    monkeypatch.setattr(artifacts.LocalFiles, "write", wrong)
    code, found = run(job, tmp_path)
    assert code == 1
    assert "differ after the copy" in found["cause"]


@pytest.fixture
def bucket() -> Iterator[Any]:
    """A bucket, and the client that fills it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", **KEYS)
    client.create_bucket(Bucket="mlflow")
    yield client
    server.stop()


@pytest.mark.usefixtures("job")
def test_a_bucket_is_read_with_its_own_keys(bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, content in FILES.items():
        bucket.put_object(Bucket="mlflow", Key=f"below/{path}", Body=content)
    bucket.put_object(Bucket="mlflow", Key="elsewhere", Body=b"not ours")
    bucket.put_object(Bucket="mlflow", Key="below/folder/", Body=b"")  # a folder, as consoles create it
    monkeypatch.setenv("OLD_URI", "s3://mlflow/below")
    monkeypatch.setenv("OLD_ENDPOINT", bucket.meta.endpoint_url)
    monkeypatch.setenv("OLD_ACCESS_KEY_ID", "old")
    monkeypatch.setenv("OLD_SECRET_ACCESS_KEY", "old-secret")
    code, found = run(script(), tmp_path)
    assert (code, found["old"]) == (0, found["new"])
    assert read(tmp_path / "new") == FILES


def test_a_bucket_is_written_part_by_part(bucket: Any, tmp_path: Path) -> None:
    write(tmp_path, FILES)
    local, store = artifacts.LocalFiles(str(tmp_path)), artifacts.S3Files(bucket, "mlflow", "new")
    for file in local.list():
        with local.open(file.path) as stream:
            store.write(file.path, stream)
    for path, content in FILES.items():
        with store.open(path) as stream:
            assert stream.read() == content
    assert {file.path: file.bytes for file in store.list()} == {path: len(each) for path, each in FILES.items()}
