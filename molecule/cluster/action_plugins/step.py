"""Runs commands that take long: several at once, with a heartbeat, each into a log of its own, and each only once.

A job is {name, argv, creates?, unless?, log?, env?, chdir?}. `lanes` is a list of lists of jobs: lanes run side by
side, the jobs of a lane one after the other. A task with a single job gives it directly. What a job `creates` appears
whole or not at all: "{part}" in its argv stands for a draft beside it, renamed when the command succeeds; without
"{part}" the file is only the mark that the command did. "{tmp}" stands for an empty folder that goes when the command
ends. Two processes never make the same file: the second one waits. Nothing is done when `unless`, a later result, is
there.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any

import psutil
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

HEARTBEAT = 15.0  # seconds between two signs of life
POLL = 0.1
GRACE = 8.0  # seconds that an interrupted command has to clean up
TAIL = 15  # lines of its log that a failure shows
KEYS = {"name", "argv", "creates", "unless", "log", "env", "chdir"}
SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h

display = Display()


class JobError(Exception):
    """A command failed or could not be started; the message is for the person who waits."""


def duration(seconds: float) -> str:
    """Write seconds the way a person says them: 45s, 2m10s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def process_age(pid: int) -> float:
    """Return for how many seconds a process has been running."""
    return time.time() - psutil.Process(pid).create_time()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)


@dataclass
class Job:
    """One command on its way: waiting for another process that makes the same, running, or done."""

    name: str
    argv: list[str]
    creates: Path | None = None
    unless: Path | None = None
    log: Path | None = None
    env: dict[str, str] = field(default_factory=dict)
    chdir: str | None = None
    started: float = field(default_factory=time.monotonic)
    process: subprocess.Popen[bytes] | None = None
    lock: IO[bytes] | None = None
    changed: bool = False

    @property
    def part(self) -> Path:
        """The draft of what this job creates."""
        assert self.creates is not None
        return self.creates.with_name(f"{self.creates.name}.part")

    @property
    def tmp(self) -> Path:
        """A folder for what the command needs only while it runs."""
        assert self.creates is not None
        return self.creates.with_name(f"{self.creates.name}.tmp")

    def there(self) -> bool:
        """Tell whether what this job makes is there already."""
        return any(path is not None and path.exists() for path in (self.creates, self.unless))

    def _fill(self, word: str) -> str:
        if "{part}" in word:
            return word.replace("{part}", str(self.part))
        if "{tmp}" in word:
            self.tmp.mkdir(exist_ok=True)
            return word.replace("{tmp}", str(self.tmp))
        return word

    def begin(self) -> bool:
        """Start the command; False while another process is at it."""
        if self.creates is not None:
            self.creates.parent.mkdir(parents=True, exist_ok=True)
            self.lock = self.lock or self.creates.with_name(f".{self.creates.name}.lock").open("ab")
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if self.there():
                return True
            self._remove_drafts()
        argv = [self._fill(word) for word in self.argv]
        env = {name: self._fill(value) for name, value in self.env.items()}
        if self.log:
            self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") if self.log else Path(os.devnull).open("wb") as out:
            out.write(f"$ {shlex.join(argv)}\n".encode())
            out.flush()
            try:
                self.process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    cwd=self.chdir,
                    env={**os.environ, **env},
                    process_group=0,
                    preexec_fn=_die_with_parent,
                )
            except OSError as error:
                raise JobError(f"{self.name}: {shlex.join(argv)}: {error.strerror}") from error
        self.changed = True
        return True

    def finished(self) -> bool:
        """Tell whether the command has ended; keep what it made, or raise JobError."""
        if self.process is None:
            return True
        code = self.process.poll()
        if code is None:
            return False
        if code:
            raise JobError(self._story(code))
        if self.creates is not None:
            if self.part.exists():
                self.part.rename(self.creates)
            else:
                self.creates.touch()
        return True

    def end(self) -> None:
        """Stop the command and all that it started, if it runs, and let others at the file."""
        if self.process is not None and self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(GRACE)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        if self.lock is not None:
            if self.changed:
                self._remove_drafts()
            self.lock.close()
            self.lock = None

    def _remove_drafts(self) -> None:
        for draft in (self.part, self.tmp):
            if draft.is_dir():
                shutil.rmtree(draft, ignore_errors=True)
            else:
                draft.unlink(missing_ok=True)

    def _story(self, code: int) -> str:
        ended = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        lines = self.log.read_text(errors="replace").splitlines() if self.log else []
        command = lines[0][2:] if lines else shlex.join(self.argv)
        tail = "\n".join(f"    {line}" for line in lines[1:][-TAIL:])
        return (
            f"{self.name}: {ended} after {duration(time.monotonic() - self.started)}.\n  Command: {command}\n"
            + (f"  Its last lines:\n{tail}\n  All of them: {self.log}\n" if self.log else "")
            + "  Running the same command again goes on from here."
        )


class Lanes:
    """Runs lanes of jobs side by side and says how they are getting on."""

    def __init__(self, lanes: list[list[Job]], say: Callable[[str], None]) -> None:
        """Take the jobs and the function that shows one line."""
        self.waiting = [list(lane) for lane in lanes]
        self.running: list[Job | None] = [None for _ in lanes]
        self.begun: set[str] = set()
        self.say = say
        self.parent = os.getppid()
        self.changed = False

    def run(self) -> bool:
        """Run all jobs to their end; return whether any command ran. On an error or a signal nothing is left."""
        previous = {number: signal.signal(number, self._interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
        beat = time.monotonic()
        try:
            while any(self.running) or any(self.waiting):
                for lane in range(len(self.running)):
                    self._advance(lane)
                if time.monotonic() - beat >= HEARTBEAT:
                    beat = time.monotonic()
                    self._heartbeat()
                if os.getppid() != self.parent:
                    raise JobError("The playbook that this belongs to is gone.")
                time.sleep(POLL)
        finally:
            self._end_all()
            for number, handler in previous.items():
                signal.signal(number, handler)
        return self.changed

    def _advance(self, lane: int) -> None:
        job = self.running[lane]
        if job is None:
            if not self.waiting[lane]:
                return
            job = self.running[lane] = self.waiting[lane].pop(0)
            job.started = time.monotonic()
        if job.process is None:
            if not job.begin():
                if job.name not in self.begun:
                    self.begun.add(job.name)
                    self.say(f"{job.name}: another process is making it; waiting")
                return
            if job.process is not None:
                self.say(job.name)
        if job.finished():
            if job.changed and time.monotonic() - job.started > 2:
                self.say(f"{job.name}: done in {duration(time.monotonic() - job.started)}")
            self.changed = self.changed or job.changed
            job.end()
            self.running[lane] = None

    def _heartbeat(self) -> None:
        now = time.monotonic()
        jobs = [job for job in self.running if job is not None]
        self.say("   ... " + ", ".join(f"{job.name.split(' (')[0]} {duration(now - job.started)}" for job in jobs))

    def _end_all(self) -> None:
        for job in self.running:
            if job is not None:
                job.end()

    def _interrupted(self, number: int, _frame: FrameType | None) -> None:
        for job in self.running:
            if job is not None and job.process is not None:
                with suppress(ProcessLookupError):
                    os.killpg(job.process.pid, signal.SIGTERM)
        self._end_all()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def job_from(given: dict[str, Any]) -> Job:
    """Read one job of a task; unknown keys are refused."""
    unknown = set(given) - KEYS
    if unknown:
        raise JobError(f"step: unknown key {sorted(unknown)[0]}; allowed are {', '.join(sorted(KEYS))}.")
    return Job(
        name=given["name"],
        argv=[str(word) for word in given["argv"]],
        creates=Path(given["creates"]) if given.get("creates") else None,
        unless=Path(given["unless"]) if given.get("unless") else None,
        log=Path(given["log"]) if given.get("log") else None,
        env={name: str(value) for name, value in (given.get("env") or {}).items()},
        chdir=given.get("chdir"),
    )


class ActionModule(ActionBase):  # type: ignore[misc]
    """The task `step`."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task's jobs on this machine."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = dict(self._task.args)
        lanes = given.pop("lanes", None)
        begun = time.monotonic() - process_age(os.getppid())
        try:
            if lanes is None:
                lanes = [[{"name": self._task.get_name().rpartition(" : ")[2], **given}]]
            jobs = [[job_from(job) for job in lane] for lane in lanes]
            if self._task.check_mode:
                return {**result, "changed": any(not job.there() for lane in jobs for job in lane)}
            runner = Lanes(jobs, lambda line: display.display(f"[{duration(time.monotonic() - begun):>6}] {line}"))
            return {**result, "changed": runner.run()}
        except JobError as error:
            return {**result, "failed": True, "msg": str(error)}
