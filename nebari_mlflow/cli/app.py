"""The command line: `nebari mlflow ...`, and `nebari-mlflow ...` with completion."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click
import typer
from ansible_collections.nebari.mlflow.plugins.module_utils.visible import visible
from typer.core import TyperGroup

from ..errors import Cancelled, InputError, MlflowError

if TYPE_CHECKING:
    from rich.console import Console

    from ..play.runner import Result
    from .context import Target

MaybePath = Optional[Path]  # noqa: UP045 (typer 0.9, which Nebari pins, knows no other way)
SHAPE = "1.0"  # of --json: the minor number grows with new fields, the major one when one changes its meaning


class Commands(TyperGroup):
    """Ends every command in one way, and with --json in one shape, whatever stops it.

    A mistyped option ends with 1 and not with click's 2, which is what `plan` says of changes.
    """

    def invoke(self, ctx: click.Context) -> Any:
        as_json = "--json" in ctx.args  # what is left of the command line; invoke() empties it
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            error.exit_code = 1
            if not as_json:
                raise
            name = " ".join(filter(None, (ctx.command_path, ctx.invoked_subcommand)))
            failure: MlflowError = InputError("NML104", error.format_message(), f"See: {name} --help")
        except MlflowError as error:
            failure = error
        except (click.Abort, KeyboardInterrupt):
            failure = Cancelled("NML501", "The command was stopped by Ctrl-C.", "Run it again.", exit_code=130)
        raise _shown(failure, ctx.invoked_subcommand or "error", as_json)


app = typer.Typer(
    cls=Commands,
    help="Plan, deploy and operate MLflow.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
CONFIG = typer.Option(
    None, "--config", "-c", help="Nebari's configuration file. Defaults to nebari-config.yaml in this directory."
)
VARS = typer.Option(None, "--vars", "-e", help="File of mlflow_* variables, to work without Nebari.")
KUBECONFIG = typer.Option(
    "", "--kubeconfig", help="Kubeconfig file. Defaults to KUBECONFIG, then to the one that Nebari wrote."
)
JSON = typer.Option(False, "--json", help="Print one JSON object.")
COMPONENTS = ("tracking", "postgresql", "migrate", "verify")


def _target(config: Path | None, variables: Path | None, kubeconfig: str) -> Target:
    from . import context

    found = context.find(config, variables, kubeconfig)
    click.get_current_context().call_on_close(found.opened.close)
    return found


def _consoles(as_json: bool) -> Console:
    """Return the console for people, which is standard error when standard output is for programs."""
    from ..play.view import make_console

    return make_console(stderr=as_json)


def _print(kind: str, *, indent: int | None = 2, **fields: Any) -> None:
    document = {"type": f"nebari-mlflow.{kind}", "version": SHAPE, **fields}
    typer.echo(json.dumps(document, indent=indent, default=str))


def _shown(error: MlflowError, kind: str, as_json: bool) -> typer.Exit:
    """Print the error, and return what ends the command."""
    from ..play.view import make_console, show_failure

    if as_json:
        _print(kind, error=error.report())
    else:
        show_failure(make_console(stderr=True), error)
    return typer.Exit(error.exit_code if isinstance(error, Cancelled) else 1)


def _confirmed(question: str) -> bool:
    """Ask on standard error; where nobody can answer, the answer is no."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False


def _play(
    target: Target, playbook: str, console: Console, *, check: bool = False, extra: dict[str, Any] | None = None
) -> Result:
    from ..play.deployment import execute

    return execute(
        playbook, {**target.variables, **(extra or {})}, check=check, console=console, provider=target.provider
    )


@app.command()
def plan(
    config: MaybePath = CONFIG,
    vars_file: MaybePath = VARS,
    kubeconfig: str = KUBECONFIG,
    as_json: bool = JSON,
) -> None:
    """Show what a deploy would change. Exit code 0: no changes, 2: changes, 1: an error."""
    from ..names import DEPLOY, DESTROY
    from ..play.view import show_changes

    console = _consoles(as_json)
    target = _target(config, vars_file, kubeconfig)
    result = _play(target, DEPLOY if target.enabled else DESTROY, console, check=True)
    changes = result.outputs.get("changes") or []
    if as_json:
        _print("plan", changes=changes, changed=bool(changes))
    else:
        console.print(f"{len(changes)} changes" if changes else "Nothing to change.", markup=False)
        show_changes(console, changes)
    raise typer.Exit(2 if changes else 0)


@app.command()
def deploy(
    config: MaybePath = CONFIG,
    vars_file: MaybePath = VARS,
    kubeconfig: str = KUBECONFIG,
    as_json: bool = JSON,
) -> None:
    """Deploy MLflow, or repair what differs from the configuration."""
    from ..names import DEPLOY, DESTROY
    from ..play.view import show_summary

    console = _consoles(as_json)
    target = _target(config, vars_file, kubeconfig)
    result = _play(target, DEPLOY if target.enabled else DESTROY, console)
    if as_json:
        _print("deploy", outputs=result.outputs, seconds=round(result.elapsed, 1), log=result.log)
    elif target.enabled:
        show_summary(console, result.outputs, result)
    else:
        console.print(f"{target.release}: switched off, its data is kept.", markup=False)


@app.command()
def status(
    config: MaybePath = CONFIG,
    vars_file: MaybePath = VARS,
    kubeconfig: str = KUBECONFIG,
    as_json: bool = JSON,
    watch: bool = typer.Option(
        False, "--watch", "-w", help="Repeat every 5 s until Ctrl-C; with --json, one line each time."
    ),
) -> None:
    """Show the state of MLflow: Active, Waiting, Blocked or Absent. Exit code 0 only if Active."""
    from . import status as states
    from .report import show_status

    target = _target(config, vars_file, kubeconfig)
    try:
        while True:
            found = states.look(target)
            if as_json:
                _print("status", indent=None if watch else 2, **found.report())
            else:
                show_status(_consoles(False), found)
            if not watch:
                raise typer.Exit(0 if found.state == states.ACTIVE else 1)
            sys.stdout.flush()
            time.sleep(5)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@app.command()
def doctor(
    config: MaybePath = CONFIG,
    vars_file: MaybePath = VARS,
    kubeconfig: str = KUBECONFIG,
    as_json: bool = JSON,
) -> None:
    """Check this machine, the configuration and the cluster."""
    from .doctor import FAIL, examine
    from .report import show_check

    console, found = _consoles(as_json), []
    for check in examine(lambda: _target(config, vars_file, kubeconfig)):
        found.append(check)
        if not as_json:
            show_check(console, check)
    if as_json:
        _print("doctor", checks=[check.report() for check in found])
    raise typer.Exit(1 if any(check.result == FAIL for check in found) else 0)


@app.command()
def verify(
    config: MaybePath = CONFIG,
    vars_file: MaybePath = VARS,
    kubeconfig: str = KUBECONFIG,
    as_json: bool = JSON,
) -> None:
    """Run the smoke test: log a run, an artifact and a model version and read them back."""
    from .verification import use

    console = _consoles(as_json)
    target = _target(config, vars_file, kubeconfig)
    with console.status("Logging a run, an artifact and a model version"):
        proof = use(target)
    if as_json:
        _print("verify", proof=proof)
    else:
        console.print("MLflow works: a run, an artifact and a model version were logged and read back.", markup=False)
        for name, value in proof.items():
            console.print(f"  {name}: {value}", markup=False)


@app.command()
def logs(
    config: MaybePath = CONFIG,
    vars_file: MaybePath = VARS,
    kubeconfig: str = KUBECONFIG,
    as_json: bool = JSON,
    component: str = typer.Option("tracking", help=f"One of {', '.join(COMPONENTS)}."),
    tail: int = typer.Option(200, min=1, max=100_000, help="Lines of each pod."),
) -> None:
    """Print the last lines of a component's pods."""
    from . import cluster

    if component not in COMPONENTS:
        raise InputError("NML104", f"--component is {component!r}.", f"Give one of {', '.join(COMPONENTS)}.")
    target = _target(config, vars_file, kubeconfig)
    with cluster.asking():
        lines = cluster.logs(target, component, tail)
    if as_json:
        _print("logs", pods=lines)
    else:
        for pod, text in lines.items():
            typer.echo(visible(f"==> {pod} <==\n{text}"))


@app.command("open")
def open_ui(
    config: MaybePath = CONFIG,
    vars_file: MaybePath = VARS,
    kubeconfig: str = KUBECONFIG,
    as_json: bool = JSON,
    port: int = typer.Option(5000, help="Local port. If it is in use, the next free port."),
    browser: bool = typer.Option(True, help="Open a browser."),
) -> None:
    """Forward the UI to a local port until Ctrl-C, without a domain or a login."""
    from .forward import forward

    target = _target(config, vars_file, kubeconfig)
    try:
        with forward(target, port) as (url, wait):
            if as_json:
                _print("open", url=url)
            else:
                typer.echo(f"{url} (Ctrl-C ends it)")
            sys.stdout.flush()
            if browser:
                typer.launch(url)
            wait()
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@app.command()
def destroy(
    config: MaybePath = CONFIG,
    vars_file: MaybePath = VARS,
    kubeconfig: str = KUBECONFIG,
    as_json: bool = JSON,
    delete_data: str = typer.Option(
        "", help="The project's name, to delete database, artifacts and keys for good as well."
    ),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
) -> None:
    """Remove the release. Keep all data unless --delete-data repeats the project's name."""
    from ..names import DESTROY
    from .report import show_removed

    console = _consoles(as_json)
    target = _target(config, vars_file, kubeconfig)
    if delete_data not in ("", target.project):
        raise InputError(
            "NML105",
            f"--delete-data is {delete_data!r}, but the project is {target.project!r}.",
            f"Give --delete-data {target.project} to delete its data for good, or leave it out.",
        )
    what = "with ALL ITS DATA" if delete_data else "and keep its data"
    if not (yes or _confirmed(f"Remove {target.release} from namespace {target.namespace} {what}?")):
        raise Cancelled("NML503", "Nothing was removed: it was not confirmed.", "Answer y, or give --yes.")
    extra = {"mlflow_delete_data": delete_data} if delete_data else {}
    result = _play(target, DESTROY, console, extra=extra)
    if as_json:
        _print("destroy", outputs=result.outputs)
    else:
        show_removed(console, target, result.outputs)


def main() -> None:
    """Run `nebari-mlflow`."""
    app(prog_name="nebari-mlflow")
