"""The command line: `nebari mlflow ...`, and `nebari-mlflow ...` with completion."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Optional

import click
import typer
from ansible_collections.nebari.mlflow.plugins.module_utils.visible import visible
from typer.core import TyperGroup

from ..errors import Cancelled, InputError, MlflowError
from . import adoption, backups
from .options import Options, check_repeated, command, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from ..play.runner import Result
    from .context import Target


class Commands(TyperGroup):
    """Ends every command in one way, and with --json in one shape, whatever stops it.

    A mistyped option ends with 1 and not with click's 2, which is what `plan` says of changes.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, and turn what stops it into an exit code and an error."""
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
COMPONENTS = ("tracking", "postgresql", "migrate", "verify", "backup")


def _shown(error: MlflowError, kind: str, as_json: bool) -> typer.Exit:
    """Print the error, and return what ends the command."""
    from ..play.view import make_console, show_failure

    if as_json:
        print_json(kind, error=error.report())
    else:
        show_failure(make_console(stderr=True), error)
    return typer.Exit(error.exit_code if isinstance(error, Cancelled) else 1)


def confirmed(question: str) -> bool:
    """Ask on standard error; where nobody can answer, the answer is no."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False


def play(
    target: Target,
    playbook: str,
    console: Console,
    *,
    check: bool = False,
    extra: Mapping[str, Any] | None = None,
    unlimited: bool = False,
) -> Result:
    """Run a playbook about the target. An unlimited one ends by its own limits only."""
    from ..play.deployment import execute

    return execute(
        playbook,
        {**target.variables, **(extra or {})},
        check=check,
        console=console,
        provider=target.provider,
        unlimited=unlimited,
    )


@command(app)
def plan(options: Options) -> None:
    """Show what a deploy would change. Exit code 0: no changes, 2: changes, 1: an error."""
    from ..names import DEPLOY, DESTROY
    from ..play.view import show_changes

    console = options.console()
    target = options.target()
    result = play(target, DEPLOY if target.enabled else DESTROY, console, check=True)
    changes = result.outputs.get("changes") or []
    if options.as_json:
        print_json("plan", changes=changes, changed=bool(changes), warnings=result.warnings)
    else:
        console.print(f"{len(changes)} changes" if changes else "Nothing to change.", markup=False)
        show_changes(console, changes)
    raise typer.Exit(2 if changes else 0)


@command(app)
def deploy(
    options: Options,
    go_back: str = typer.Option(
        "",
        help="The project's name, to let an older MLflow version go back to the backup from before an upgrade. Puts "
        "aside what was written since.",
    ),
) -> None:
    """Deploy MLflow, or repair what differs from the configuration."""
    from ..names import DEPLOY, DESTROY
    from ..play.view import show_summary

    console = options.console()
    target = options.target()
    if go_back not in ("", target.project):
        raise InputError(
            "NML104",
            f"--go-back is {go_back!r}, but the project is {target.project!r}.",
            f"Give --go-back {target.project} to go back to the backup from before the upgrade, or leave it out.",
        )
    extra = {"mlflow_restore_confirm": go_back} if go_back else {}
    result = play(target, DEPLOY if target.enabled else DESTROY, console, extra=extra)
    if options.as_json:
        print_json("deploy", outputs=result.outputs, seconds=round(result.elapsed, 1), log=result.log)
    elif target.enabled:
        show_summary(console, result.outputs, result)
    else:
        console.print(f"{target.release}: switched off, its data is kept.", markup=False)


@command(app)
def rotate(
    options: Options,
    what: Optional[list[str]] = typer.Argument(  # noqa: UP045, B008 (typer 0.9)
        None, metavar="[WHAT]...", help="Some of keys, postgresql, access. Defaults to all that were generated."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only show what would be replaced and restarted."),
) -> None:
    """Replace passwords and keys while MLflow runs."""
    from ansible_collections.nebari.mlflow.plugins.filter.report import rotated

    from ..names import ROTATE, ROTATED

    console = options.console()
    if unknown := sorted(set(what or []) - set(ROTATED)):
        raise InputError("NML104", f"{unknown[0]!r} is nothing that is rotated.", f"Give some of {', '.join(ROTATED)}.")
    result = play(options.target(), ROTATE, console, check=dry_run, extra={"mlflow_rotate": what} if what else {})
    if options.as_json:
        print_json("rotate", outputs=result.outputs, seconds=round(result.elapsed, 1), log=result.log)
        return
    for line in rotated(result.outputs, dry_run):
        console.print(line, markup=False)


@command(app)
def status(
    options: Options,
    watch: bool = typer.Option(
        False, "--watch", "-w", help="Repeat every 5 s until Ctrl-C; with --json, one line each time."
    ),
) -> None:
    """Show the state of MLflow: Active, Waiting, Blocked or Absent. Exit code 0 only if Active."""
    from . import status as states
    from .report import show_status

    target = options.target()
    try:
        while True:
            found = states.look(target)
            if options.as_json:
                print_json("status", indent=None if watch else 2, **found.report())
            else:
                show_status(options.console(), found)
            if not watch:
                raise typer.Exit(0 if found.state == states.ACTIVE else 1)
            sys.stdout.flush()
            time.sleep(5)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@command(app)
def doctor(options: Options) -> None:
    """Check this machine, the configuration and the cluster."""
    from .doctor import FAIL, examine
    from .report import show_check

    console, found = options.console(), []
    for check in examine(options.target):
        found.append(check)
        if not options.as_json:
            show_check(console, check)
    if options.as_json:
        print_json("doctor", checks=[check.report() for check in found])
    raise typer.Exit(1 if any(check.result == FAIL for check in found) else 0)


@command(app)
def verify(options: Options) -> None:
    """Run the smoke test: log a run, an artifact and a model version and read them back."""
    from .verification import use

    console = options.console()
    target = options.target()
    with console.status("Logging a run, an artifact and a model version"):
        proof = use(target)
    if options.as_json:
        print_json("verify", proof=proof)
    else:
        console.print("MLflow works: a run, an artifact and a model version were logged and read back.", markup=False)
        for name, value in proof.items():
            console.print(f"  {name}: {value}", markup=False)


@command(app)
def logs(
    options: Options,
    component: str = typer.Option("tracking", help=f"One of {', '.join(COMPONENTS)}."),
    tail: int = typer.Option(200, min=1, max=100_000, help="Number of lines per pod."),
) -> None:
    """Print the last lines of a component's pods."""
    from . import cluster

    if component not in COMPONENTS:
        raise InputError("NML104", f"--component is {component!r}.", f"Give one of {', '.join(COMPONENTS)}.")
    target = options.target()
    with cluster.asking():
        lines = cluster.logs(target, component, tail)
    if options.as_json:
        print_json("logs", pods=lines)
    else:
        for pod, text in lines.items():
            typer.echo(visible(f"==> {pod} <==\n{text}"))


@command(app, "open")
def open_ui(
    options: Options,
    port: int = typer.Option(5000, help="Local port. If it is in use, the next free port."),
    browser: bool = typer.Option(True, help="Open a browser."),
) -> None:
    """Forward the UI to a local port until Ctrl-C, without a domain or a login."""
    from .forward import forward, has_screen

    target = options.target()
    try:
        with forward(target, port) as (url, wait):
            if options.as_json:
                print_json("open", url=url)
            else:
                typer.echo(f"{url} (Ctrl-C ends it)")
            sys.stdout.flush()
            if browser and has_screen():
                typer.launch(url)
            wait()
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@command(app)
def destroy(
    options: Options,
    delete_data: str = typer.Option(
        "", help="The project's name, to delete database, artifacts and keys for good as well."
    ),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask for confirmation."),
) -> None:
    """Remove the release. Keep all data unless --delete-data repeats the project's name."""
    from ..names import DESTROY
    from .report import show_removed

    console = options.console()
    target = options.target()
    check_repeated("--delete-data", delete_data, target.project, "its data")
    what = "with ALL ITS DATA" if delete_data else "and keep its data"
    if not (yes or confirmed(f"Remove {target.release} from namespace {target.namespace} {what}?")):
        raise Cancelled("NML503", "Nothing was removed: the removal was not confirmed.", "Answer y, or give --yes.")
    extra = {"mlflow_delete_data": delete_data} if delete_data else {}
    result = play(target, DESTROY, console, extra=extra)
    if options.as_json:
        print_json("destroy", outputs=result.outputs)
    else:
        show_removed(console, target, result.outputs)


adoption.register(app)
backups.register(app)


def main() -> None:
    """Run `nebari-mlflow`."""
    app(prog_name="nebari-mlflow")
