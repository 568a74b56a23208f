"""The private folder of a run, and what a killed run left."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nebari_mlflow.errors import SetupError
from nebari_mlflow.play import logfile, workspace
from nebari_mlflow.play.redact import Redactor


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(workspace, "candidates", lambda: [tmp_path])
    return tmp_path


def test_the_folder_is_private_and_goes_with_an_error(root: Path) -> None:
    with pytest.raises(ZeroDivisionError), workspace.private_folder() as folder:  # noqa: PT012
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "secret").touch()
        raise ZeroDivisionError
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_killed_process_leaves_no_folder(tmp_path: Path, name: str) -> None:
    code = (
        "import pathlib, sys, time\nfrom nebari_mlflow.play import workspace\n"
        f"workspace.candidates = lambda: [pathlib.Path({str(tmp_path)!r})]\n"
        "with workspace.private_folder() as folder:\n"
        "    (folder / 'secret').write_text('CANARY')\n    print(folder, flush=True)\n    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    assert (folder / "secret").exists()
    process.send_signal(signal.Signals[name])
    process.wait()
    deadline = time.monotonic() + 10
    while folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_without_proc_a_living_run_keeps_its_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.setattr(workspace, "PROC", root / "proc")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead = root / f"{workspace.PREFIX}{gone.pid}-123-x"
    dead.mkdir()
    with workspace.private_folder() as first, workspace.private_folder() as second:
        assert first.is_dir()
        assert second.is_dir()
        assert not dead.exists()


def test_only_what_a_dead_run_left_is_swept(root: Path) -> None:
    me = os.getpid()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead = root / f"{workspace.PREFIX}{gone.pid}-123-x"
    reused = root / f"{workspace.PREFIX}{me}-1-x"
    mine = root / f"{workspace.PREFIX}{me}-{workspace.started(me)}-x"
    other = root / "somebody-elses"
    for folder in (dead, reused, mine, other):
        folder.mkdir()
    link = root / f"{workspace.PREFIX}{gone.pid}-5-x"
    link.symlink_to(other)
    assert set(workspace.sweep()) == {dead, reused}
    assert other.is_dir()
    assert mine.is_dir()


def test_no_room_is_said_before_anything_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "ROOM", 2**60)
    with pytest.raises(SetupError, match=f"NML302.*{root}"), workspace.private_folder():
        pytest.fail("entered")


def test_a_folder_in_memory_is_preferred(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert workspace.candidates()[:2] == [tmp_path, Path("/dev/shm")]  # noqa: S108


def test_a_full_disk_is_called_full() -> None:
    error = workspace.no_room(OSError(errno.ENOSPC, "No space left on device"), Path("/run"))
    assert str(error) == "NML302: Nothing can be written to /run: it is full. Free some room there and run again."


def test_where_no_log_can_be_kept_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    log = logfile.Logfile("test", Redactor([]))
    log.write("lost")
    log.close()
    assert log.path == ""
    assert "No log is kept" in caplog.text


def test_ten_logs_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for number in range(12):
        (logfile.folder()).mkdir(parents=True, exist_ok=True)
        (logfile.folder() / f"test-2026010{number:02}.log").touch()
    log = logfile.Logfile("test", Redactor([]))
    log.close()
    assert len(list(logfile.folder().iterdir())) == logfile.KEPT
    assert Path(log.path).exists()


def test_a_machine_without_shared_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_context: object) -> None:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(type(multiprocessing.get_context("fork")), "Lock", refuse)
    with pytest.raises(SetupError, match=r"NML308: .* /dev/shm cannot be used: No such file or directory"):
        workspace.check_semaphores()
