"""A program that is started never outlives the one that started it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.process import Process, wait_for_orphans
from ansible_collections.nebari.mlflow.plugins.module_utils.program import Program
from ansible_collections.nebari.mlflow.plugins.module_utils.progress import Progress

COLLECTIONS = Path(__file__).parents[3] / "collections"
STARTER = """
import os, sys, time
from ansible_collections.nebari.mlflow.plugins.module_utils.program import Program
Program(["sh", "-c", "echo $$ > " + sys.argv[1] + "; exec sleep 60"], dict(os.environ))
time.sleep(60)
"""


def test_output_input_and_exit_code() -> None:
    program = Program(["sh", "-c", "cat; echo bad >&2; exit 3"], dict(os.environ), "given " * 50_000)
    code, stdout, stderr = program.finish()
    assert (code, len(stdout), stderr) == (3, 300_000, "bad\n")


def test_an_exception_while_waiting_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    program = Program(["sh", "-c", f"echo $$ > {path}; exec sleep 60"], dict(os.environ))

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        program.finish(interrupt)
    assert not Process.of(int(path.read_text())).alive()


@pytest.mark.skipif(sys.platform != "linux", reason="the signal of a parent's death is Linux's")
def test_kill_9_of_the_parent_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    environment = {**os.environ, "PYTHONPATH": str(COLLECTIONS), "MARK_OF_A_TEST": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, "-c", STARTER, str(path)], env=environment)
    deadline = time.monotonic() + 10
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child = Process.of(int(path.read_text()))
    assert child.alive()
    parent.kill()
    parent.wait()
    wait_for_orphans(f"MARK_OF_A_TEST={tmp_path}")
    assert not child.alive()


def test_progress_says_changes_at_once_and_the_rest_every_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    path = tmp_path / "progress"
    progress = Progress(str(path), "one")
    for second in range(22):
        clock[0] = float(second)
        progress.say("waiting for a" if second < 21 else "waiting for b", f"({second} s)")
    assert path.read_text().splitlines() == [
        "  one: waiting for a (0 s)",
        "  one: waiting for a (10 s)",
        "  one: waiting for a (20 s)",
        "  one: waiting for b (21 s)",
    ]
    Progress(None, "one").say("to nobody")
