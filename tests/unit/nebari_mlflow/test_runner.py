"""The runner, with real plays: outputs, failures, and where a secret may never be."""

from __future__ import annotations

import os
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from nebari_mlflow.errors import Cancelled, PlayError, SetupError
from nebari_mlflow.play import runner, workspace

PLAYS = Path(__file__).parent / "plays"


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def run(play: str, variables: dict[str, Any], **options: Any) -> runner.Result:
    return runner.run(str(PLAYS / f"{play}.yml"), variables, name="test", **options)


def left_over() -> list[Path]:
    return [path for root in workspace.candidates() for path in root.glob(f"{workspace.PREFIX}{os.getpid()}-*")]


def test_outputs_come_back_with_their_types() -> None:
    nested = {"list": [1, "two", None, True], "empty": {}}
    result = run("report", {"mlflow_number": 5, "mlflow_nested": nested})
    assert result.outputs == {"number": 5, "nested": nested, "text": ""}
    assert not result.changed
    assert left_over() == []


def test_a_value_that_looks_like_a_template_is_not_one() -> None:
    assert (
        run("report", {"mlflow_number": 1, "mlflow_nested": {}, "mlflow_text": "{x} $HOME"}).outputs["text"]
        == "{x} $HOME"
    )


def test_a_failure_names_task_cause_and_log() -> None:
    with pytest.raises(PlayError) as caught:
        run("fail", {})
    error = caught.value
    assert (error.task, error.cause, error.code) == ("Find the cause", "The kubeconfig /x does not exist.", "NML401")
    log = Path(error.log)
    assert "this one does not count" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_failure_of_one_item_says_its_own_words() -> None:
    with pytest.raises(PlayError) as caught:
        run("loop", {})
    assert (caught.value.task, caught.value.cause) == ("Check each", "item is 2")


def test_a_play_that_returns_nothing_is_a_failure() -> None:
    with pytest.raises(PlayError, match="NML420"):
        run("silent", {})


def test_warnings_of_tasks_come_back_once_each() -> None:
    record = runner._Record()
    for result in ({"warnings": ["a", "b"]}, {}, {"warnings": ["b", "c"]}, {"warnings": None}):
        record.take({"event": "runner_on_ok", "event_data": {"res": result}})
    assert list(record.warnings) == ["a", "b", "c"]
    assert run("report", {"mlflow_number": 1, "mlflow_nested": {}}).warnings == []


def test_play_that_does_not_start_shows_ansibles_reason() -> None:
    with pytest.raises(PlayError, match=r"NML420: ansible-playbook did not run: .*nowhere.yml could not be found"):
        run("nowhere", {})


@pytest.mark.parametrize("name", ["C", "POSIX", "xx_YY.UTF-8"])
def test_a_play_runs_in_any_locale(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("LC_ALL", name)
    assert run("report", {"mlflow_number": 5, "mlflow_nested": {}, "mlflow_text": "größer"}).outputs["text"] == "größer"


def test_check_mode_reaches_the_play() -> None:
    seen: list[str] = []
    result = run("check", {}, check=True, on_event=lambda event: seen.append(str(event["stdout"])))
    assert result.outputs == {"check": True}
    assert any("Return it" in text for text in seen)


def test_an_error_of_the_viewer_does_not_hide_the_play() -> None:
    def view(_event: runner.Event) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run("report", {"mlflow_number": 1, "mlflow_nested": {}}, on_event=view)
    assert left_over() == []


def test_without_ansible_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(SetupError, match="pip install 'ansible"):
        run("report", {})


class Sampler:
    """Look at every process while something runs: command lines, and environments for what may be in none."""

    def __init__(self, marks: dict[str, str], nowhere: set[str]) -> None:
        self.hits: set[str] = set()
        self.modes: set[int] = set()
        self._marks, self._nowhere = marks, nowhere
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stop.wait(0.05):
            for folder in left_over():
                self.modes.add(stat.S_IMODE(folder.stat().st_mode))
                for path in folder.rglob("*"):
                    self._look_at(path)
            for process in psutil.Process().children(recursive=True):
                self._look_in(process)

    def _look_at(self, path: Path) -> None:
        try:
            if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
                text = path.read_bytes()
                self.hits |= {f"{name} in {path.name}" for name, mark in self._marks.items() if mark.encode() in text}
        except OSError:
            return

    def _look_in(self, process: psutil.Process) -> None:
        try:
            command, environ = " ".join(process.cmdline()), str(process.environ())
        except psutil.Error:
            return
        self.hits |= {f"{name} in argv" for name, mark in self._marks.items() if mark in command}
        self.hits |= {f"{name} in environ" for name in self._nowhere if self._marks[name] in environ}


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    marks = {
        name: f"CANARY{number}x{os.urandom(6).hex()}"
        for number, name in enumerate(("ARM_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY", "NEBARI_SECRET__a", "variable"))
    }
    for name in list(marks)[:3]:
        monkeypatch.setenv(name, marks[name])
    return marks


def test_a_secret_is_in_no_file_command_line_or_output(
    marks: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    printed: list[str] = []
    with Sampler(marks, {"AWS_SECRET_ACCESS_KEY", "NEBARI_SECRET__a", "variable"}) as sampler:
        result = run(
            "secret",
            {"mlflow_secret": marks["variable"]},
            provider="azure",
            on_event=lambda event: printed.append(str(event["stdout"])),
        )
    assert sampler.hits == set()
    assert sampler.modes == {0o700}
    assert result.outputs == {"seen": ""}, "another cloud's keys are not passed on"
    assert "[hidden] and " in "".join(printed)
    everything = [*printed, *(path.read_text() for path in tmp_path.rglob("*") if path.is_file())]
    assert not [name for name, mark in marks.items() if mark in "".join(everything)]
    assert left_over() == []


PROGRAM = """#!{python}
import signal, sys, time
trace = open(sys.argv[1], "a", buffering=1)
def end(number, _frame):
    print("asked", signal.Signals(number).name, file=trace)
    time.sleep(0.7)
    print("wrote its record", file=trace)
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
print("started", file=trace)
time.sleep(60)
"""


@pytest.fixture
def slow(tmp_path: Path) -> dict[str, str]:
    program = tmp_path / "helm"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    return {"mlflow_program": str(program), "mlflow_trace": str(tmp_path / "trace")}


def alive(program: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cmdline"]) if program in (process.info["cmdline"] or [])]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_lets_helm_write_its_record(slow: dict[str, str], name: str) -> None:
    import signal

    number = signal.Signals[name]

    def send() -> None:
        trace = Path(slow["mlflow_trace"])
        while not trace.exists() or "started" not in trace.read_text():
            threading.Event().wait(0.05)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    before = signal.getsignal(number)
    with pytest.raises(Cancelled) as caught:
        run("slow", slow)
    thread.join()
    first, *asked, last = Path(slow["mlflow_trace"]).read_text().splitlines()
    assert (first, set(asked), last) == ("started", {"asked SIGTERM"}, "wrote its record")
    assert caught.value.code == "NML501"
    assert caught.value.exit_code == 128 + number
    assert alive(slow["mlflow_program"]) == []
    assert left_over() == []
    assert signal.getsignal(number) is before


def test_the_deadline_lets_helm_write_its_record(slow: dict[str, str]) -> None:
    trace = Path(slow["mlflow_trace"])
    for deadline in (8, 40):  # the second where a busy machine took longer to come as far as the program
        with pytest.raises(Cancelled, match="NML502"):
            run("slow", slow, deadline=deadline)
        if trace.exists():
            break
    assert trace.read_text().splitlines()[-1] == "wrote its record"
    assert alive(slow["mlflow_program"]) == []
