# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Processes of this host, told from later ones that reuse their pid."""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import dataclass
from pathlib import Path

from ..errors import ReleaseError

ORPHAN_PATIENCE = 30.0  # seconds; helm gets SIGTERM when its parent dies, and then writes its record


@dataclass(frozen=True)
class Process:
    """A process that is told from a later one with the same pid by its start time (clock ticks since boot)."""

    pid: int
    start: str

    @classmethod
    def of(cls, pid: int) -> Process:
        """Return a running process by its id."""
        return cls(pid, _start(pid))

    @classmethod
    def parse(cls, text: str) -> Process | None:
        """Return a process from `pid:start`, or None."""
        pid, _, start = text.partition(":")
        return cls(int(pid), start) if pid.isdigit() else None

    def __str__(self) -> str:
        return f"{self.pid}:{self.start}"

    def alive(self) -> bool:
        """Say if it still runs; another process with its id does not count."""
        return bool(self.start) and _start(self.pid) == self.start


def _start(pid: int) -> str:
    """Field 22 of /proc/PID/stat; "" for a process that is gone, a zombie, or where there is no /proc."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if after_name[0] in "ZX" else after_name[19]


def host_id() -> str:
    """This boot of this kernel and this pid namespace: where a pid of ours means something. "" when unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def controller() -> Process:
    """Return the ansible-playbook that forked this worker. Workers have their own session and outlive a killed play.

    Ask it what forked us: the parent that the kernel knows is another one as soon as the play is dead.
    Raises ReleaseError if it was killed already.
    """
    forked = multiprocessing.parent_process()
    pid = os.getppid() if forked is None or forked.pid is None else forked.pid
    found = Process.of(pid)
    if os.getppid() != pid:
        raise ReleaseError("The play was killed before this task began.", "Run it again.")
    return found


def wait_for_orphans(mark: str) -> None:
    """Wait for programs of a killed run to end: they carry `mark`, as NAME=value, in their environment.

    Raises ReleaseError if they go on.
    """
    deadline = time.monotonic() + ORPHAN_PATIENCE
    while pids := _with_environment(mark):
        if time.monotonic() > deadline:
            raise ReleaseError(
                f"A helm of an earlier run that was killed is still working (pid {', '.join(map(str, pids))}).",
                "Wait for it to end, or end it; then run it again.",
            )
        time.sleep(0.3)


def _with_environment(mark: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # another user's, or gone
            continue
        if mark.encode() in environment and _start(int(folder.name)):
            found.append(int(folder.name))
    return found
