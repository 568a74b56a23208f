"""A program that is started never outlives the one that started it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.process import Process, wait_for_orphans
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.program import Program
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.progress import Progress

COLLECTIONS = Path(__file__).parents[3] / "collections"
STARTER = """
import os, sys, time
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.program import Program
Program(["sh", "-c", "echo $$ > " + sys.argv[1] + "; exec sleep 60"], dict(os.environ))
time.sleep(60)
"""

PLAY = """
import multiprocessing, os, signal, sys, time
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.process import Process, controller
def task(play):
    assert controller() == Process.of(play)
    os.setsid()
    os.kill(play, signal.SIGKILL)
    while os.getppid() == play:
        time.sleep(0.01)
    try:
        print("goes on for", controller())
    except ReleaseError as error:
        print(error)
multiprocessing.get_context("fork").Process(target=task, args=(os.getpid(),)).start()
time.sleep(60)
"""
ORPHAN = """
import sys, time
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import Cancelled
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.signals import install
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.process import Process
try:
    install(Process.parse(sys.argv[1]))
    time.sleep(30)
except Cancelled as error:
    print(error)
"""


def python(script: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(COLLECTIONS)}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False, timeout=60).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the worker's process group and /proc are Linux's")
def test_a_task_whose_play_is_dead_already_does_not_begin() -> None:
    assert python(PLAY) == "The play was killed before this task began. Run it again.\n"


@pytest.mark.skipif(sys.platform != "linux", reason="a process's start is read from /proc")
def test_module_of_a_dead_play_stops_at_once() -> None:
    with subprocess.Popen(["sleep", "60"]) as play:
        named = str(Process.of(play.pid))
        play.kill()
    assert python(ORPHAN, named).startswith("Stopped by SIGTERM.")


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


def test_progress_reports_changes_at_once_and_otherwise_every_ten_seconds(
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
