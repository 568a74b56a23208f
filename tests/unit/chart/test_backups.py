"""What a backup is, which ones are listed, kept and refused, and how its stream is cut into parts and put together."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from nebari_mlflow_backup import artifacts, manifest, parts, sets, tables
from nebari_mlflow_backup.exchange import Exchange, ProgramError
from nebari_mlflow_backup.manifest import Manifest
from nebari_mlflow_backup.report import Progress, RefusedError
from nebari_mlflow_backup.sets import Retention
from nebari_mlflow_backup.store import Store, StoreError, Volume, destination

from tests.unit.chart.rendering import CHART, render

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def identity(days: int, number: int = 1) -> str:
    return f"{(NOW - timedelta(days=days)).strftime(manifest.STAMP)}-{number:06x}"


AGES = {days: identity(days) for days in (0, 1, 2, 10, 40, 50)}


@pytest.mark.parametrize(
    ("last", "days", "gone"),
    [
        (0, 0, []),  # nothing is ever given up
        (2, 0, [2, 10, 40, 50]),
        (0, 30, [40, 50]),
        (5, 30, [50]),
        (7, 30, []),
        (2, 5, [10, 40, 50]),
        (0, 1, [2, 10, 40, 50]),
    ],
)
def test_retention(last: int, days: int, gone: list[int]) -> None:
    assert sorted(manifest.expired(AGES.values(), NOW, last, days)) == sorted(AGES[each] for each in gone)


def test_a_clock_years_ahead_does_not_expire_the_newest() -> None:
    far = NOW + timedelta(days=4000)
    assert AGES[0] not in manifest.expired(AGES.values(), far, 0, 30)
    assert len(manifest.expired(AGES.values(), far, 3, 30)) == 3


def test_only_what_was_cut_off_long_ago_is_swept() -> None:
    folders = [*AGES.values(), identity(0, 7), identity(9, 8), "something-else"]
    assert manifest.cut_off(folders, AGES.values(), NOW) == [identity(9, 8)]


def whole(**changed: Any) -> Manifest:
    return {
        "id": AGES[0],
        "created": NOW.isoformat(),
        "reason": "asked",
        "versions": {"mlflow": "3.17.2", "chart": "0.1.0", "postgresql": "170012"},
        "schema": {"name": "public", "revision": "c3"},
        "database": {"bytes": 5, "parts": [{"path": "database/000000.part", "bytes": 5, "sha256": "0"}]},
        "secrets": None,
        "counts": {"runs": 3},
        "artifacts": None,
        **changed,
    }


def test_a_manifest_reads_as_it_was_written() -> None:
    assert manifest.read(manifest.write(whole()), AGES[0]) == {"format": 1, **whole()}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (manifest.write(whole())[:-20], "is cut off"),
        (b"", "is cut off"),
        (b"[]", "is cut off"),
        (manifest.write(whole()).replace(b'"runs": 3', b'"runs": 4'), "its checksum is wrong"),
        (manifest.write(whole(format=99)), "has format 99"),
        (manifest.write(whole(id=AGES[1])), "is that of"),
    ],
)
def test_a_manifest_that_is_not_what_was_written_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        manifest.read(content, AGES[0])


@pytest.mark.parametrize(
    ("there", "said"),
    [({}, "is missing"), ({"database/000000.part": 4}, "has 4 bytes instead of 5")],
)
def test_a_truncated_dump_is_refused_before_it_is_read(there: dict[str, int | None], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        manifest.refuse_missing(whole(), there)
    manifest.refuse_missing(whole(), {"database/000000.part": 5})


@pytest.mark.parametrize(
    ("known", "server", "said"),
    [
        (frozenset({"c3"}), 170001, ""),
        (frozenset({"c3"}), 180000, ""),
        (frozenset({"a1"}), 170001, "Deploy MLflow 3.17.2 or newer"),
        (frozenset({"c3"}), 160009, "Restore into PostgreSQL 17 or newer"),
    ],
)
def test_a_backup_of_something_newer_is_refused(known: frozenset[str], server: int, said: str) -> None:
    if not said:
        manifest.refuse_newer(whole(), known, server)
        return
    with pytest.raises(RefusedError, match=said):
        manifest.refuse_newer(whole(), known, server)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 64])
def test_a_stream_is_the_same_after_parts(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "SIZE", 8)
    store, content = Store(str(tmp_path)), os.urandom(size)
    monkeypatch.setattr(parts.read_exactly, "__defaults__", (8,))
    found = parts.write(io.BytesIO(content).read, store.put, lambda n, _digest: f"x/{n}")
    assert b"".join(parts.read(store, "", found)) == content
    assert [part.bytes for part in found] == [8] * (size // 8) + ([size % 8] if size % 8 else [])


@pytest.mark.parametrize(("change", "said"), [(b"bad!!", "checksum"), (b"bad", "truncated")])
def test_a_part_that_was_changed_is_refused(change: bytes, said: str, tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    found = parts.write(io.BytesIO(b"good!").read, store.put, lambda n, _digest: f"{n}")
    (tmp_path / "0").write_bytes(change)
    with pytest.raises(RefusedError, match=said):
        list(parts.read(store, "", found))


def test_a_store_that_fills_half_way_ends_the_stream() -> None:
    written: list[str] = []

    def put(path: str, _content: bytes) -> None:
        if len(written) == 2:
            raise StoreError("No space left on device")
        written.append(path)

    endless = io.BytesIO(bytes(10 * parts.SIZE))
    with pytest.raises(StoreError, match="No space left"):
        parts.write(endless.read, put, lambda n, _digest: f"{n}")
    assert endless.tell() <= 6 * parts.SIZE


def kept(store: Store, days: int) -> None:
    """Write a backup that is complete."""
    name = AGES[days]
    store.put(f"sets/{name}/database/000000.part", b"12345")
    store.put(f"sets/{name}/manifest.json", manifest.write(whole(id=name)))


def test_half_a_backup_is_never_listed(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert sets.identities(store) == []
    kept(store, 1)
    store.put(f"sets/{AGES[0]}/database/000000.part", b"12345")
    assert sets.identities(store) == [AGES[1]]
    assert sets.load(store, "newest")["id"] == AGES[1]
    with pytest.raises(RefusedError, match="no complete backup"):
        sets.load(store, AGES[0])


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(seconds=-1), timedelta(), timedelta(days=1)])
def test_the_last_backup_is_the_newest_also_if_the_clock_was_set_back(jump: timedelta) -> None:
    """Otherwise a restore would take the one before, and retention would give up the last one."""
    before = manifest.new_identity(NOW)
    last = manifest.new_identity(NOW + jump, before)
    assert manifest.IDENTITY.fullmatch(last)
    assert last > before
    assert manifest.expired([before, last], NOW + jump, 1, 0) == [before]


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "latest", "20260101T000000Z"])
def test_what_is_not_the_name_of_a_backup_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="not the name of a backup"):
        sets.load(Store(str(tmp_path)), name)


def test_pruning_removes_what_nothing_refers_to_and_nothing_else(tmp_path: Path) -> None:
    store, files = Store(str(tmp_path / "backups")), tmp_path / "artifacts"
    (files / "a").mkdir(parents=True)
    (files / "a/old.txt").write_text("old")
    (files / "a/both.txt").write_text("both")
    progress = Progress()
    for days, gone in ((40, ""), (0, "old.txt")):
        if gone:
            (files / "a" / gone).unlink()
        listing, _ = artifacts.copy(artifacts.LocalFiles(str(files)), store, {}, progress)
        content, path = artifacts.pack(listing), f"sets/{AGES[days]}/artifacts"
        store.put(path, content)
        piece = parts.Part("artifacts", len(content), hashlib.sha256(content).hexdigest())
        described = {"kind": "copy", "parts": [piece.report()]}
        store.put(f"sets/{AGES[days]}/database/000000.part", b"12345")
        store.put(f"sets/{AGES[days]}/manifest.json", manifest.write(whole(id=AGES[days], artifacts=described)))
    done = sets.prune(store, NOW, Retention(1, 30), progress)
    assert (done["removed"], done["kept"], done["objects_removed"]) == ([AGES[40]], [AGES[0]], 1)
    assert set(sets.listing(store, sets.load(store, AGES[0]))) == {"a/both.txt"}
    put_back = artifacts.put_back(
        artifacts.LocalFiles(str(tmp_path / "new")), store, sets.listing(store, sets.load(store, AGES[0])), progress
    )
    assert put_back["restored"] == 1
    assert (tmp_path / "new/a/both.txt").read_text() == "both"


def test_an_unchanged_artifact_is_not_read_again(tmp_path: Path) -> None:
    store, files = Store(str(tmp_path / "backups")), tmp_path / "artifacts"
    files.mkdir()
    (files / "model.bin").write_bytes(b"m" * 1000)
    (files / "empty").touch()
    source = artifacts.LocalFiles(str(files))
    first, written = artifacts.copy(source, store, {}, Progress())
    assert written == 1000
    source.open = lambda path: pytest.fail(f"{path} was read")  # type: ignore[method-assign]
    second, written = artifacts.copy(source, store, first, Progress())
    assert (second, written) == (first, 0)


NAMES = [
    "a+b.txt",
    "100 %.txt",
    "a#b?c%41.txt",
    ".hidden",
    "ünï cødé 名.txt",
    "line\nbreak",
    "名" * 85,  # 255 bytes, the longest that a file system takes
    "x" * 255,
    *(f"{'x' * 240}-{number}" for number in range(8)),
    os.fsdecode(b"not-utf8-\xff"),
]


def test_files_of_every_name_come_back_even_if_written_at_once(tmp_path: Path) -> None:
    store, old = Store(str(tmp_path / "backups")), tmp_path / "old"
    old.mkdir()
    for name in NAMES:
        (old / name).write_bytes(os.fsencode(name) * 9)
    listing, _ = artifacts.copy(artifacts.LocalFiles(str(old)), store, {}, Progress())
    listing = artifacts.unpack(artifacts.pack(listing))
    new = artifacts.LocalFiles(str(tmp_path / "new"))
    assert artifacts.put_back(new, store, listing, Progress())["restored"] == len(NAMES)
    for name in NAMES:
        assert (tmp_path / "new" / name).read_bytes() == os.fsencode(name) * 9

    started = threading.Barrier(len(NAMES))

    class Slow(io.BytesIO):
        """Content of which the last half comes when every file is being written."""

        def read(self, size: int | None = -1) -> bytes:
            if self.tell() == 0:
                started.wait(20)
            return super().read(size)

    with ThreadPoolExecutor(len(NAMES)) as pool:
        list(pool.map(lambda name: new.write(name, Slow(os.fsencode(name))), NAMES))
    for name in NAMES:
        assert (tmp_path / "new" / name).read_bytes() == os.fsencode(name)
    assert len(list(new.list())) == len(NAMES)


def test_what_marks_a_folder_of_a_bucket_is_no_artifact(tmp_path: Path) -> None:
    """A volume could not hold it beside the files of the folder."""

    class Bucket(artifacts.LocalFiles):
        def list(self) -> Iterator[artifacts.File]:
            yield artifacts.File("7/run/artifacts/", 0, "tag")
            yield artifacts.File("7/run/artifacts/a.txt", 1, "tag")

        def open(self, path: str) -> io.BytesIO:
            return io.BytesIO(b"" if path.endswith("/") else b"a")

    store = Store(str(tmp_path / "backups"))
    listing, _ = artifacts.copy(Bucket(""), store, {}, Progress())
    artifacts.put_back(artifacts.LocalFiles(str(tmp_path / "new")), store, listing, Progress())
    assert (tmp_path / "new/7/run/artifacts/a.txt").read_text() == "a"


def test_two_databases_are_compared_by_rows_and_contents() -> None:
    one = {"runs": {"rows": 3, "checksum": "1"}, "tags": {"rows": 1, "checksum": "7"}}
    other = {"runs": {"rows": 2, "checksum": "1"}, "tags": {"rows": 1, "checksum": "8"}, "new": {"rows": 0}}
    assert tables.differences(one, one) == []
    assert tables.differences(one, other) == [
        "table new is not in the backup",
        "table runs has 2 rows instead of 3",
        "table tags has other contents",
    ]


def test_backups_never_lie_below_the_artifacts() -> None:
    with pytest.raises(RefusedError, match="whole bucket"):
        destination({"BACKUP_DESTINATION": "", "BACKUP_OF": "dev/demo"})
    assert destination({"BACKUP_DESTINATION": "s3://b/x/", "BACKUP_OF": "dev/demo"}) == "s3://b/x/dev/demo"


PROGRAM = """#!/bin/sh
case "$0" in
  *pg_dump) {dump} ;;
  *pg_restore) cat >restored; {restore} ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("requests", "data"):
        os.mkfifo(tmp_path / name)
    for name in ("service.conf", "password"):
        (tmp_path / name).write_text("")
    return tmp_path


def programs(folder: Path, dump: str = "printf dumped", restore: str = "true") -> subprocess.Popen[bytes]:
    """Start the script of the other container with programs that stand for PostgreSQL's."""
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    for name in ("pg_dump", "pg_restore"):
        (bin_folder / name).write_text(PROGRAM.format(dump=dump, restore=restore))
        (bin_folder / name).chmod(0o755)
    env = {"PATH": f"{bin_folder}:{os.environ['PATH']}", "EXCHANGE": str(folder), "SCRATCH": str(folder / "scratch")}
    script = str(CHART / "files/nebari_mlflow_backup/programs.sh")
    return subprocess.Popen(["sh", script], env=env, stderr=subprocess.PIPE)


@pytest.fixture
def running() -> Iterator[list[subprocess.Popen[bytes]]]:
    found: list[subprocess.Popen[bytes]] = []
    yield found
    for process in found:
        process.kill()
        process.wait()


def dumped(folder: Path) -> bytes:
    exchange = Exchange(folder, patience=10)
    exchange.ask("dump", "1-2-3")
    stream = exchange.reader()
    content = parts.read_exactly(stream.read)
    stream.close()
    exchange.settle()
    return content


def test_the_dump_comes_through_the_pipe(folder: Path, running: list[subprocess.Popen[bytes]]) -> None:
    running.append(programs(folder, 'printf dumped; printf "%s\\n" "$@" >arguments'))
    assert dumped(folder) == b"dumped"
    assert "--snapshot=1-2-3" in (folder / "arguments").read_text()


@pytest.mark.parametrize(
    ("dump", "said"),
    [
        ("printf half; echo 'pg_dump: error: connection lost' >&2; exit 1", "connection lost"),
        ("printf half; kill -9 $$", "137"),
    ],
)
def test_a_dump_that_ends_half_way_is_an_error(
    dump: str, said: str, folder: Path, running: list[subprocess.Popen[bytes]]
) -> None:
    running.append(programs(folder, dump))
    with pytest.raises(ProgramError, match=said):
        dumped(folder)


def test_a_restore_gets_what_is_fed(folder: Path, running: list[subprocess.Popen[bytes]]) -> None:
    running.append(programs(folder))
    exchange = Exchange(folder, patience=10)
    exchange.ask("restore")
    exchange.feed([b"one ", b"two"])
    exchange.settle()
    assert (folder / "restored").read_bytes() == b"one two"


def test_the_other_container_ends_when_this_one_is_killed(folder: Path, running: list[subprocess.Popen[bytes]]) -> None:
    running.append(programs(folder))
    opened = f"os.open({str(folder / 'requests')!r}, os.O_WRONLY)"
    script = f"import os, time; {opened}; print('open', flush=True); time.sleep(60)"
    driver = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    running.append(driver)
    assert driver.stdout is not None
    assert driver.stdout.readline() == b"open\n"
    assert running[0].poll() is None
    driver.kill()
    assert running[0].wait(10) == 0


def test_an_error_of_a_program_shows_no_password(folder: Path, running: list[subprocess.Popen[bytes]]) -> None:
    running.append(programs(folder, "echo 'pg_dump: error: invalid p4ssw0rd-of-mine' >&2; exit 1"))
    exchange = Exchange(folder, patience=10)
    exchange.connect_to({"host": "h", "dbname": "d", "password": "p4ssw0rd-of-mine"})
    exchange.ask("dump", "1")
    stream = exchange.reader()
    assert parts.read_exactly(stream.read) == b""
    with pytest.raises(ProgramError) as caught:
        exchange.settle()
    assert "p4ssw0rd" not in str(caught.value)


def test_the_result_has_room_in_a_termination_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nebari_mlflow_backup import report

    monkeypatch.setenv("TERMINATION_MESSAGE", str(tmp_path / "message"))
    report.end({"verb": "list", "backups": [{"id": identity(0, n)} for n in range(500)]})
    assert json.loads((tmp_path / "message").read_text()) == {"verb": "list"}


def test_threads_are_not_left_behind() -> None:
    before = threading.active_count()
    with pytest.raises(StoreError):
        parts.write(io.BytesIO(b"x").read, _refuse, lambda n, _digest: f"{n}")
    assert threading.active_count() == before


def _refuse(path: str, _content: bytes) -> None:
    raise StoreError(path)


@pytest.mark.parametrize(
    ("backup", "exists"),
    [({}, False), ({"schedule": "0 3 * * *"}, True), ({"volume": {"create": True}}, True)],
)
def test_the_volume_for_backups_exists_if_they_are_made(backup: dict[str, Any], exists: bool) -> None:
    """A claim that nothing uses would keep `helm install --wait` waiting."""
    claims = {
        item["metadata"]["name"] for item in render({"backup": backup}) if item["kind"] == "PersistentVolumeClaim"
    }
    assert ("demo-mlflow-backups" in claims) is exists


def test_a_backup_without_a_volume_says_what_to_set() -> None:
    with pytest.raises(RefusedError, match="no volume for backups"):
        destination({"ARTIFACTS_DESTINATION": "/mlflow/artifacts", "BACKUP_OF": "dev/demo"})


def test_the_same_content_is_written_by_many_threads(tmp_path: Path) -> None:
    volume = Volume(str(tmp_path))
    failed: list[Exception] = []

    def write() -> None:
        for _ in range(50):
            try:
                volume.put("objects/1c/same", b"x" * 4096)
            except OSError as error:
                failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [path.name for path in (tmp_path / "objects/1c").iterdir()] == ["same"]


def test_parts_of_several_files_are_all_written_at_the_end() -> None:
    written: dict[str, bytes] = {}

    def put(path: str, content: bytes) -> None:
        time.sleep(0.01)
        written[path] = content

    pieces = []
    with parts.Writer(put) as writer:
        for file in range(20):
            pieces += parts.cut(io.BytesIO(bytes([file])).read, writer, lambda _number, digest: digest)
    assert [piece.result().bytes for piece in pieces] == [1] * 20
    assert sorted(written.values()) == [bytes([file]) for file in range(20)]


@pytest.mark.parametrize("failing", [0, 19], ids=["the first part", "the last part"])
def test_a_part_that_is_not_written_fails_the_whole(failing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts.read_exactly, "__defaults__", (1,))

    def put(path: str, _content: bytes) -> None:
        if path == str(failing):
            raise OSError(28, "No space left on device")

    def write_all() -> None:
        with parts.Writer(put) as writer:
            parts.cut(io.BytesIO(bytes(20)).read, writer, lambda number, _digest: str(number))

    with pytest.raises(OSError, match="No space left"):
        write_all()
