"""`adopt`: take over another chart's release, or move what another server or a file store holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import typer

from ..errors import Cancelled, InputError
from .options import Options, check_repeated, command, print_json

if TYPE_CHECKING:
    from .context import Target


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app)(adopt)


def adopt(
    options: Options,
    check: bool = typer.Option(False, "--check", help="Show what was found and change nothing."),
    from_url: str = typer.Option(
        "", help="Tracking URI of another MLflow server, whose content is added to this deployment's."
    ),
    from_directory: Optional[Path] = typer.Option(  # noqa: UP045, B008 (typer 0.9)
        None, help="Directory mlruns on this machine, whose content is added to this deployment's."
    ),
    secret: str = typer.Option(
        "", help="Secret in the namespace with the other server's login, such as MLFLOW_TRACKING_TOKEN."
    ),
    credentials: Optional[Path] = typer.Option(  # noqa: UP045, B008 (typer 0.9)
        None, help="File with the other server's login, as MLflow's own ~/.mlflow/credentials."
    ),
    remove_old: str = typer.Option(
        "", help="The project's name, to delete for good what an earlier adoption kept of the old release."
    ),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask for confirmation."),
) -> None:
    """Take over another MLflow chart's release and deploy, or move from another server or a directory."""
    source = _source(from_url, from_directory, secret, credentials)
    target = options.target()
    if source:
        if remove_old:
            raise InputError("NML104", "--remove-old is about an old release.", "Leave it out, or the source.")
        _move(options, target, source, check=check, yes=yes)
    else:
        _take_over(options, target, remove_old, check=check, yes=yes)


def _source(url: str, directory: Path | None, secret: str, credentials: Path | None) -> dict[str, str]:
    """Return what is moved as the playbook takes it."""
    from ansible_collections.nebari.mlflow.plugins.filter.moving import move_faults

    given = {
        "url": url,
        "directory": str(directory.resolve()) if directory else "",
        "secret": secret,
        "credentials": str(credentials.resolve()) if credentials else "",
    }
    source = {name: value for name, value in given.items() if value}
    if faults := move_faults(source):
        raise InputError("NML104", faults[0].replace("mlflow_adopt_from", "The source"), "See: adopt --help")
    return source


def _move(options: Options, target: Target, source: dict[str, str], *, check: bool, yes: bool) -> None:
    """Show what the source holds, and move it if that is meant."""
    found = _moved(options, target, source, check=True)
    if check:
        _show_move(options, found)
        return
    if not options.as_json:
        _show_move(options, found)
    _confirm(yes, f"Add this to {target.release} in namespace {target.namespace}?")
    _show_move(options, _moved(options, target, source, check=False))


def _moved(options: Options, target: Target, source: dict[str, str], *, check: bool) -> dict[str, Any]:
    from ..names import ADOPT
    from .app import play

    result = play(target, ADOPT, options.console(), check=check, extra={"mlflow_adopt_from": source}, unlimited=True)
    return {"outputs": result.outputs, "seconds": round(result.elapsed, 1), "log": result.log}


def _show_move(options: Options, done: dict[str, Any]) -> None:
    if options.as_json:
        print_json("adopt", **done)
        return
    for line in (done["outputs"].get("adopted") or {}).get("lines", []):
        options.console().print(line, markup=False)


def _take_over(options: Options, target: Target, remove_old: str, *, check: bool, yes: bool) -> None:
    from ..names import ADOPT
    from ..play.view import show_summary
    from .app import play
    from .report import show_adopted

    console = options.console()
    check_repeated("--remove-old", remove_old, target.project, "the old volumes")
    what = "Delete the old volumes for good" if remove_old else "Stop the old server and take over its data"
    if not check:
        _confirm(yes, f"{what}: {target.release} in namespace {target.namespace}?")
    extra = {"mlflow_remove_old": remove_old} if remove_old else {}
    result = play(target, ADOPT, console, check=check, extra=extra)
    if options.as_json:
        print_json("adopt", outputs=result.outputs, seconds=round(result.elapsed, 1), log=result.log)
        return
    show_adopted(console, result.outputs.get("adopted") or {})
    if not check:
        show_summary(console, result.outputs, result)


def _confirm(yes: bool, question: str) -> None:
    from .app import confirmed

    if not (yes or confirmed(question)):
        raise Cancelled("NML503", "Nothing was changed: the change was not confirmed.", "Answer y, or give --yes.")
