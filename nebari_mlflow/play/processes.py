"""End a play so that helm can write its record: a killed helm leaves its release locked.

ansible-core starts each worker in a session of its own, so killing ansible-playbook's process group leaves module
and helm behind, still changing the cluster. So the tree is walked, and each program that does work gets SIGTERM.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable

LEASH = "nebari_mlflow.play.with_parent"
GRACE = 30.0  # seconds that helm and the cloud modules get to come to an end


def descendants(pid: int | None = None) -> list[psutil.Process]:
    """Every process below this one, deepest last."""
    try:
        found: list[psutil.Process] = psutil.Process(pid or os.getpid()).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return found


def works(process: psutil.Process) -> bool:
    """Say if a process is a module or a program that a module started, and not Ansible or the shell between."""
    with contextlib.suppress(psutil.Error):
        command = process.cmdline()
        return (
            bool(command)
            and not any("ansible-playbook" in part or part == LEASH for part in command[:6])
            and not _is_shell(command)
        )
    return False


def _is_shell(command: list[str]) -> bool:
    return command[0].rpartition("/")[2] in ("sh", "dash", "bash") and "-c" in command


def terminate(tree: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Send SIGTERM to the processes that do work. Ansible then sees a failed task, and ends the play by itself."""
    asked = [process for process in dict.fromkeys(tree) if works(process)]
    for process in asked:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    return asked


def kill(tree: Iterable[psutil.Process]) -> None:
    """End what did not come to an end in time."""
    for process in tree:
        with contextlib.suppress(psutil.Error):
            process.kill()
