"""What a person sees of a run: the phases, what is waited for, the summary, the failure.

On a terminal one line is drawn over; elsewhere (a pipe, a CI system) every line stays. NO_COLOR is rich's to honour.
"""

from __future__ import annotations

import io
import os
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any

from ansible_collections.nebari.mlflow.plugins.module_utils.visible import visible
from rich.console import Console
from rich.markup import escape
from rich.status import Status

if TYPE_CHECKING:
    from rich.text import Text

    from ..errors import MlflowError
    from .runner import Event, Result

MARKS = {"create": "+", "update": "~", "delete": "-", "recover": "!", "verify": "*"}  # action of a change -> as shown


class Screen(Console):
    """A console that shows control characters of the texts that it is given, and sends only its own."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Render a text without the control characters that a terminal would obey."""
        return super().render_str(visible(text), **options)


def show_any_text() -> None:
    """Escape what the terminal's encoding does not have, such as that of LC_ALL=C, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def make_console(*, stderr: bool = False) -> Console:
    """Return a console. GitHub, GitLab and the like set CI, and have no cursor to move."""
    show_any_text()
    console = Screen(stderr=stderr, highlight=False, soft_wrap=True)
    if os.environ.get("CI") and not os.environ.get("FORCE_COLOR"):
        console.is_interactive = False
    return console


def seconds(value: float) -> str:
    """Return 75 as `1 min 15 s`."""
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Progress:
    """Show the events of one run. Enter it around the run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal and console.is_interactive
        self._status: Status | None = None
        self._phase = ""
        self._warned: set[str] = set()
        self._began = self._phase_began = time.monotonic()

    def __enter__(self) -> Progress:
        self._began = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end_phase("[red]✗[/red]" if kind else "[green]✓[/green]")
        if self._status is not None:
            self._status.stop()

    def __call__(self, event: Event) -> None:
        """Take one event of ansible-runner."""
        data = event.get("event_data") or {}
        if event.get("event") == "playbook_on_task_start" and not data.get("role"):
            self._begin_phase(str(data.get("task", "")))
        elif event.get("event") == "verbose":
            for line in str(event.get("stdout", "")).splitlines():
                if line.startswith("  ") and line.strip():
                    self._say(line.strip())
        elif event.get("event") == "runner_on_ok":
            for text in (data.get("res") or {}).get("warnings") or []:
                self._warn(str(text))

    def _warn(self, text: str) -> None:
        """Show a warning of a task, once: two tasks may have the same."""
        if text not in self._warned:
            self._warned.add(text)
            self._console.print(f"[yellow]Warning:[/yellow] {escape(text)}")

    def _begin_phase(self, name: str) -> None:
        self._end_phase("[green]✓[/green]")
        self._phase, self._phase_began = name, time.monotonic()
        if not self._live:
            self._console.print(f"[{seconds(time.monotonic() - self._began):>7}] {escape(name)}", markup=False)
        elif self._status is None:
            self._status = self._console.status(self._fit(name))
            self._status.start()
        else:
            self._status.update(self._fit(name))

    def _end_phase(self, mark: str) -> None:
        if self._phase and self._live:
            took = time.monotonic() - self._phase_began
            self._console.print(f"{mark} {escape(self._phase)}[dim]{f' ({seconds(took)})' if took >= 1 else ''}[/dim]")
        self._phase = ""

    def _say(self, line: str) -> None:
        if self._status is not None:
            self._status.update(self._fit(f"{self._phase}: {line}"))
        else:
            self._console.print(f"          {line}", markup=False)

    def _fit(self, line: str) -> str:
        """Break the line that is drawn over: rich would cut it, and its end says why it waits and for how long."""
        return escape("\n".join(textwrap.wrap(visible(line), max(20, self._console.width - 3))))


def show_changes(console: Console, changes: list[dict[str, Any]]) -> None:
    """Print one line for each change, marked as in a diff."""
    for change in changes:
        fields = f"  {', '.join(map(str, change['fields'][:6]))}" if change.get("fields") else ""
        mark = MARKS[change["action"]]
        console.print(f"  {mark} {change.get('kind')} {change.get('name')}{fields}", markup=False)


def show_summary(console: Console, outputs: dict[str, Any], result: Result) -> None:
    """Print where MLflow is and what this run changed."""
    changes = outputs.get("changes") or []
    console.print(
        f"[bold]MLflow {outputs.get('versions', {}).get('mlflow', '')} is ready[/bold] ({seconds(result.elapsed)})"
    )
    rows = {
        "tracking": outputs.get("tracking_uri"),
        "UI": outputs.get("ui_url"),
        "reached": outputs.get("ui_says"),
        "artifacts": outputs.get("artifact_uri"),
        "changed": f"{len(changes)} objects" if changes else "nothing",
    }
    for name, value in rows.items():
        if value:
            console.print(f"  {name + ':':<11}{value}", markup=False)
    show_changes(console, changes)


def show_kept(console: Console, kept: list[dict[str, Any]]) -> None:
    """Print one line for each thing that stays, with the reason if its deletion was asked for."""
    for item in kept:
        where = f" in namespace {item['namespace']}" if item.get("namespace") else ""
        why = f": {item['reason']}" if item.get("reason") else ""
        console.print(f"  kept: {item.get('kind')} {item.get('name')}{where}{why}", markup=False)


def show_failure(console: Console, error: MlflowError) -> None:
    """Print what failed, why, what to do, and where the rest is."""
    console.print(
        f"[bold red]{error.code}[/bold red] {escape(error.task) + ': ' if error.task else ''}{escape(error.cause)}"
    )
    if error.fix:
        console.print(f"  [bold]Fix:[/bold] {escape(error.fix)}")
    console.print(f"  [dim]More: {escape(error.page)}[/dim]")
    if error.log:
        console.print(f"  [dim]Full log: {escape(error.log)}[/dim]")
