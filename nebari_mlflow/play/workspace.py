"""The private folder of one run: in memory where there is a tmpfs, readable by its owner only, always removed."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

PROC = Path("/proc")  # Linux only
PREFIX = "nebari-mlflow-run-"
ROOM = 16 * 2**20  # bytes that a run may need
NAME = re.compile(re.escape(PREFIX) + r"(?P<pid>[0-9]+)-(?P<started>[0-9]+)-")


def started(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot; None when there is none. A reused pid has another one."""
    if not PROC.is_dir():
        return _started_elsewhere(pid)
    try:
        stat = (PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def _started_elsewhere(pid: int) -> int | None:
    """The same on macOS, where the kernel keeps the time itself. (On Linux psutil's moves when the clock is set.)"""
    import psutil

    try:
        return int(psutil.Process(pid).create_time() * 1000)
    except psutil.Error:
        return None


def candidates() -> list[Path]:
    """Folders in memory, best first; the ordinary temporary folder last."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return [Path(path) for path in (runtime, "/dev/shm", tempfile.gettempdir()) if path]  # noqa: S108


def usable(folder: Path) -> bool:
    """Say if a run fits there."""
    try:
        return os.access(folder, os.W_OK | os.X_OK) and shutil.disk_usage(folder).free > ROOM
    except OSError:
        return False


def sweep() -> list[Path]:
    """Remove what a killed run of this user left, and say which folders those were."""
    removed = []
    for root in candidates():
        for folder in root.glob(f"{PREFIX}*"):
            match = NAME.match(folder.name)
            try:
                stale = (
                    match
                    and folder.stat().st_uid == os.getuid()
                    and started(int(match["pid"])) != int(match["started"])
                )
            except OSError:
                continue
            if stale and not folder.is_symlink():
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
    return removed


def check_semaphores() -> None:
    """Refuse a machine on which Ansible cannot start its workers: their locks are files in /dev/shm."""
    try:
        multiprocessing.get_context("fork").Lock()
    except OSError as error:
        raise SetupError(
            "NML308",
            f"Ansible needs shared memory for its locks, and /dev/shm cannot be used: {error.strerror or error}.",
            "Run as root: mount -t tmpfs -o mode=1777 tmpfs /dev/shm",
        ) from error


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make the folder with mode 0700, and remove it in every case. Raises SetupError without room."""
    sweep()
    root = next(filter(usable, candidates()), None)
    if root is None:
        tried = ", ".join(map(str, candidates()))
        raise SetupError(
            "NML302",
            f"No directory for temporary files is writable and has {ROOM // 2**20} MiB free ({tried}).",
            "Free some memory or disk, or set XDG_RUNTIME_DIR to a writable directory.",
        )
    pid = os.getpid()
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{pid}-{started(pid) or 0}-", dir=root))
    except OSError as error:
        raise no_room(error, root) from error
    try:
        with _removed_after_a_kill(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _removed_after_a_kill(folder: Path) -> Iterator[None]:
    """Let another process remove the folder if this one is killed. In a session of its own Ctrl-C does not reach it."""
    janitor = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("janitor.py")), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={},
        start_new_session=True,
    )
    with janitor:
        try:
            yield
        finally:
            janitor.kill()


def no_room(error: OSError, where: Path) -> SetupError:
    """Say that a file could not be written, and that a full disk is the reason when it is."""
    reason = "it is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error.strerror or error)
    return SetupError("NML302", f"Nothing can be written to {where}: {reason}.", "Free some room there and run again.")
