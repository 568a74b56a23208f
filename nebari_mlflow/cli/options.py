"""What every command of the command line takes, and how it prints."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, get_type_hints

import click
import typer

from ..errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from .context import Target

SHAPE = "1.1"  # of --json: the minor number grows with new fields, the major one when one changes its meaning


def _option(default: Any, *names: str, **keywords: Any) -> dict[str, Any]:
    return {"option": typer.Option(default, *names, show_default=False, **keywords)}


@dataclass(frozen=True)
class Options:
    """The options that all commands share."""

    # Optional[...] and not `| None`: typer 0.9, which Nebari pins, knows no other way.
    config: Optional[Path] = field(  # noqa: UP045
        metadata=_option(None, "--config", "-c", help="Configuration of Nebari. Defaults to ./nebari-config.yaml.")
    )
    vars_file: Optional[Path] = field(  # noqa: UP045
        metadata=_option(None, "--vars", "-e", help="File of mlflow_* variables, to work without Nebari.")
    )
    kubeconfig: str = field(
        metadata=_option("", "--kubeconfig", help="Kubeconfig file. Defaults to KUBECONFIG, then to Nebari's own.")
    )
    as_json: bool = field(metadata=_option(False, "--json", help="Print one JSON object."))

    def target(self) -> Target:
        """Return what the command is about. Its private files are removed when the command ends."""
        from . import context

        found = context.find(self.config, self.vars_file, self.kubeconfig)
        click.get_current_context().call_on_close(found.opened.close)
        return found

    def console(self) -> Console:
        """Return the console for people, which is standard error when standard output is for programs."""
        from ..play.view import make_console

        return make_console(stderr=self.as_json)


def command(app: typer.Typer, name: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add a function to `app` as a command: its first parameter becomes the options that all commands share."""

    def add(function: Callable[..., None]) -> Callable[..., None]:
        types, shared = get_type_hints(function), get_type_hints(Options)
        own = list(inspect.signature(function).parameters.values())[1:]

        @functools.wraps(function)
        def run(**given: Any) -> None:
            function(Options(**{each: given.pop(each) for each in shared}), **given)

        defaults = {each.name: each.metadata["option"] for each in fields(Options)}
        defaults |= {each.name: each.default for each in own}
        vars(run)["__signature__"] = inspect.Signature(
            [inspect.Parameter(each, inspect.Parameter.KEYWORD_ONLY, default=value) for each, value in defaults.items()]
        )
        run.__annotations__ = shared | {each.name: types[each.name] for each in own}
        return app.command(name)(run)

    return add


def check_repeated(option: str, given: str, project: str, what: str) -> None:
    """Check that an option which deletes for good is empty or repeats the project's name. Raises InputError."""
    if given in ("", project):
        return
    raise InputError(
        "NML105",
        f"{option} is {given!r}, but the project is {project!r}.",
        f"Give {option} {project} to delete {what} for good, or leave it out.",
    )


def print_json(kind: str, *, indent: int | None = 2, **content: Any) -> None:
    """Print one object on standard output. `kind` is the command, or `error`."""
    document = {"type": f"nebari-mlflow.{kind}", "version": SHAPE, **content}
    typer.echo(json.dumps(document, indent=indent, default=str))
