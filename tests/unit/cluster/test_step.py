"""Long commands: whole results or none, one maker at a time, nothing left running, and words for failures."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .loading import CLUSTER, load

step = load("action_plugins/step.py")


def lanes(*jobs: dict[str, Any], say: Callable[[str], None] = lambda _line: None) -> Any:
    """One lane for each job."""
    return step.Lanes([[step.job_from(job)] for job in jobs], say)


def shell(name: str, script: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "argv": ["sh", "-c", script], **more}


def test_a_result_appears_whole_and_is_made_once(tmp_path: Path) -> None:
    result = tmp_path / "deep/result"
    job = {"name": "a", "argv": ["sh", "-c", 'echo made >>"$1"', "sh", "{part}"], "creates": str(result)}
    assert lanes(job).run() is True
    assert lanes(job).run() is False
    assert result.read_text() == "made\n"


def test_nothing_is_made_for_a_later_result_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "archive").touch()
    job = {"name": "a", "argv": ["false"], "creates": str(tmp_path / "result"), "unless": str(tmp_path / "archive")}
    assert lanes(job).run() is False


def test_a_failure_leaves_no_result_and_says_what_was_run(tmp_path: Path) -> None:
    job = {
        "name": "Make it",
        "argv": ["sh", "-c", 'echo half >"$1"; echo "no space left"; exit 3', "sh", "{part}"],
        "creates": str(tmp_path / "result"),
        "log": str(tmp_path / "log/make.log"),
    }
    with pytest.raises(step.JobError) as failure:
        lanes(job).run()
    assert not (tmp_path / "result").exists()
    assert not (tmp_path / "result.part").exists()
    for words in ("Make it: ended with code 3", "Command: sh -c", "no space left", f"{tmp_path}/log/make.log"):
        assert words in str(failure.value)


def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(step.JobError, match=r"no-such-program: No such file"):
        lanes({"name": "a", "argv": ["no-such-program"]}).run()


def test_lanes_run_in_parallel_and_their_jobs_in_order(tmp_path: Path) -> None:
    first = [step.job_from(shell(n, f"echo begin {n} >>{tmp_path}/order; sleep 1")) for n in ("a", "b")]
    second = [step.job_from(shell("c", f"echo begin c >>{tmp_path}/order; sleep 1; echo end c >>{tmp_path}/order"))]
    step.Lanes([first, second], lambda _line: None).run()
    order = (tmp_path / "order").read_text().splitlines()
    assert order.index("begin a") < order.index("begin b")
    assert order.index("begin c") < order.index("begin b")


def test_when_one_fails_all_that_the_others_started_ends(tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(step.JobError):
        lanes(shell("bad", "sleep 0.5; exit 1"), shell("long", f"sleep 77 & echo $! >{tmp_path}/pid; wait")).run()
    assert time.monotonic() - begun < 40
    wait_for(lambda: not alive(int((tmp_path / "pid").read_text())))  # it takes a moment to die


def test_what_only_a_running_command_needs_goes_with_it(tmp_path: Path) -> None:
    job = shell("a", "touch $TMPDIR/x", creates=str(tmp_path / "result"), env={"TMPDIR": "{tmp}"})
    lanes(job).run()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".result.lock", "result"]


def test_a_killed_maker_is_replaced_and_its_draft_dropped(tmp_path: Path) -> None:
    (tmp_path / "result.part").write_text("half of an earlier run")
    job = {"name": "a", "argv": ["sh", "-c", 'echo new >>"$1"', "sh", "{part}"], "creates": str(tmp_path / "result")}
    lanes(job).run()
    assert (tmp_path / "result").read_text() == "new\n"


def test_a_second_maker_waits_for_the_first(tmp_path: Path) -> None:
    script = f"echo once >>{tmp_path}/made; sleep 1.5; touch {tmp_path}/result.part"
    program = (
        f"import sys; sys.path.insert(0, {str(CLUSTER / 'action_plugins')!r}); import step\n"
        f"job = step.job_from({{'name': 'a', 'argv': ['sh', '-c', {script!r}], 'creates': '{tmp_path}/result'}})\n"
        "print('changed' if step.Lanes([[job]], print).run() else 'waited')\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate(timeout=20)[0] for process in both)
    assert (tmp_path / "made").read_text() == "once\n"
    assert sum("changed" in text for text in said) == 1
    assert any("another process is making it" in text for text in said)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_nothing(tmp_path: Path, number: int) -> None:
    script = f"echo $$ >{tmp_path}/pid; sleep 77"
    program = (
        f"import sys; sys.path.insert(0, {str(CLUSTER / 'action_plugins')!r}); import step\n"
        f"step.Lanes([[step.job_from({{'name': 'a', 'argv': ['sh', '-c', {script!r}]}})]], print).run()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text()))
    process.send_signal(number)
    assert process.wait(15) == -number
    wait_for(lambda: not alive(int((tmp_path / "pid").read_text())))


def test_a_sign_of_life_names_what_is_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "HEARTBEAT", 0.3)
    said: list[str] = []
    lanes(
        shell("Compile it (first time about 2 min)", "sleep 0.8"), shell("Fetch it", "sleep 0.8"), say=said.append
    ).run()
    assert any("... Compile it 0s, Fetch it 0s" in line for line in said)


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(step.JobError, match="unknown key createz"):
        step.job_from({"name": "a", "argv": ["true"], "createz": "x"})


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(true: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.1)


def test_alive_knows_the_living() -> None:
    assert alive(os.getpid())
