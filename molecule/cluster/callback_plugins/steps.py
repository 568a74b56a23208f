"""Shows a playbook as a person wants to follow it: what is being done, and how long it has been at it."""

from __future__ import annotations

import time
from typing import Any

import psutil
from ansible.plugins.callback.default import CallbackModule as Default

DOCUMENTATION = """
name: steps
type: stdout
short_description: One line for each thing that was done
description:
  - A line says how long the whole run has taken and what was changed just now. What was found as it should be is not
    mentioned. A failure is shown in full, as a text and not as data. With C(-v) the output is the default callback's.
extends_documentation_fragment: [default_callback, result_format_callback]
author: [nebari-mlflow]
"""

LONG = 2.0  # seconds from which on it is said how long a task took
SILENCE = 5.0  # seconds after which a task is named although it changed nothing


def duration(seconds: float) -> str:
    """Write seconds the way a person says them: 45s, 2m10s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def process_age() -> float:
    """Return for how many seconds this process has been running, as the steps of `step` count too."""
    return time.time() - psutil.Process().create_time()


def plain_name(task: Any) -> str:
    """Return a task's name without its role's."""
    return str(task.get_name()).rpartition(" : ")[2]


class CallbackModule(Default):  # type: ignore[misc]
    """The callback."""

    CALLBACK_NAME = "steps"

    def __init__(self) -> None:
        """Remember when the run began."""
        super().__init__()
        self.begun = time.monotonic() - process_age()
        self.task_begun = self.begun

    @property
    def chatty(self) -> bool:
        """Whether the person asked for more than the steps."""
        return bool(self._display.verbosity)

    def say(self, line: str, color: str | None = None) -> None:
        """Show a line with the time since the beginning."""
        self._display.display(f"[{duration(time.monotonic() - self.begun):>6}] {line}", color=color)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Name the play."""
        if self.chatty:
            super().v2_playbook_on_play_start(play)
        else:
            self.say(play.get_name(), color="bright blue")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Wait with the name until something was done."""
        self.task_begun = time.monotonic()
        if self.chatty:
            super().v2_playbook_on_task_start(task, is_conditional)

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Say nothing of which file the tasks are in."""
        if self.chatty:
            super().v2_playbook_on_include(included_file)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Name a task that changed something, and show what debug is told to say."""
        if self.chatty:
            super().v2_runner_on_ok(result)
            return
        self._handle_warnings_and_exception(result)
        action, details = result._task.action, result._result
        took = time.monotonic() - self.task_begun
        if action == "ansible.builtin.debug":
            for item in details.get("results", [details]):
                if "msg" in item:
                    self.say(str(item["msg"]))
        elif action != "step" and (details.get("changed") or took > SILENCE):
            self.say(plain_name(result._task) + (f": {duration(took)}" if took > LONG else ""))

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Say nothing of single items; the task is named when all are done."""
        if self.chatty:
            super().v2_runner_item_on_ok(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Say nothing of what was not needed."""
        if self.chatty:
            super().v2_runner_on_skipped(result)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        """Say nothing of what was not needed."""
        if self.chatty:
            super().v2_runner_item_on_skipped(result)

    def v2_runner_retry(self, result: Any) -> None:
        """Show every tenth attempt, as a sign of life."""
        if self.chatty:
            super().v2_runner_retry(result)
        elif result._result["attempts"] % 10 == 0:
            self.say(f"   ... {plain_name(result._task)} {duration(time.monotonic() - self.task_begun)}")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Show why a task failed, in words."""
        details = result._result
        if self.chatty or "msg" not in details:
            super().v2_runner_on_failed(result, ignore_errors)
        elif not ignore_errors:
            messages = [item["msg"] for item in details.get("results", []) if item.get("failed") and "msg" in item]
            spoken = [details.get(stream, "").strip() for stream in ("stderr", "stdout")]
            text = "\n".join(messages or [str(details["msg"]), *filter(None, spoken)])
            self._display.display(f"\n{plain_name(result._task)} failed.\n{text}", color="red", stderr=True)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Leave out the table of counts."""
        if self.chatty:
            super().v2_playbook_on_stats(stats)
