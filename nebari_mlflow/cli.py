"""The command line: `nebari mlflow ...`, and `nebari-mlflow ...` with completion."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Optional

import typer

from .errors import Cancelled, InputError, MlflowError

if TYPE_CHECKING:
    from rich.console import Console

    from .runner import Result
    from .target import Target

MaybePath = Optional[Path]  # noqa: UP045 (typer 0.9, which Nebari pins, knows no other way)
SHAPE = "1.0"  # of --json: the minor number grows with new fields, the major one when one changes its meaning
app = typer.Typer(
    help="Plan, deploy and look after MLflow.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
CONFIG = typer.Option(None, "--config", "-c", help="Nebari's configuration file. Default: nebari-config.yaml here.")
VARS = typer.Option(None, "--vars", "-e", help="A file of mlflow_* variables instead, without Nebari.")
KUBECONFIG = typer.Option(
    "", "--kubeconfig", help="Kubeconfig file. Default: KUBECONFIG, or the one that Nebari wrote."
)
JSON = typer.Option(False, "--json", help="Print one JSON object.")
COMPONENTS = ("tracking", "postgresql", "migrate", "verify")


def _target(config: Path | None, variables: Path | None, kubeconfig: str) -> Target:
    from . import target

    return target.find(config, variables, kubeconfig)


def _consoles(as_json: bool) -> Console:
    """Return the console for people, which is standard error when standard output is for programs."""
    from .progress import make_console

    return make_console(stderr=as_json)


def _print(kind: str, **fields: Any) -> None:
    typer.echo(json.dumps({"type": f"nebari-mlflow.{kind}", "version": SHAPE, **fields}, indent=2, default=str))


def _fail(error: MlflowError, kind: str, as_json: bool) -> NoReturn:
    from .progress import make_console, show_failure

    if as_json:
        _print(kind, error=error.report())
    else:
        show_failure(make_console(stderr=True), error)
    raise typer.Exit(error.exit_code if isinstance(error, Cancelled) else 1)


def _play(
    target: Target, playbook: str, console: Console, *, check: bool = False, extra: dict[str, Any] | None = None
) -> Result:
    from .deployment import execute

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
    """Say what a deploy would change. Exit code 0: nothing, 2: something, 1: an error."""
    from .names import DEPLOY, DESTROY
    from .progress import show_changes

    console = _consoles(as_json)
    try:
        target = _target(config, vars_file, kubeconfig)
        result = _play(target, DEPLOY if target.enabled else DESTROY, console, check=True)
    except MlflowError as error:
        _fail(error, "plan", as_json)
    changes = result.outputs.get("changes") or []
    if as_json:
        _print("plan", changes=changes, changed=bool(changes) or result.changed)
    else:
        console.print(f"{len(changes)} changes" if changes else "Nothing to change.", markup=False)
        show_changes(console, changes)
    raise typer.Exit(2 if changes or result.changed else 0)


@app.command()
def deploy(
    config: MaybePath = CONFIG,
    vars_file: MaybePath = VARS,
    kubeconfig: str = KUBECONFIG,
    as_json: bool = JSON,
) -> None:
    """Deploy MLflow, or repair it; what is as it should be is left alone."""
    from .names import DEPLOY, DESTROY
    from .progress import show_summary

    console = _consoles(as_json)
    try:
        target = _target(config, vars_file, kubeconfig)
        result = _play(target, DEPLOY if target.enabled else DESTROY, console)
    except MlflowError as error:
        _fail(error, "deploy", as_json)
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
    watch: bool = typer.Option(False, "--watch", "-w", help="Look again every 5 s until Ctrl-C."),
) -> None:
    """Say how MLflow is doing: Active, Waiting, Blocked or Absent. Exit code 0 only when Active."""
    from . import status as states
    from .report import show_status

    try:
        target = _target(config, vars_file, kubeconfig)
    except MlflowError as error:
        _fail(error, "status", as_json)
    while True:
        found = states.look(target)
        if as_json:
            _print("status", **found.report())
        else:
            show_status(_consoles(False), found)
        if not watch:
            raise typer.Exit(0 if found.state == states.ACTIVE else 1)
        try:
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
    """Check this machine, the configuration and the cluster, before a deploy and after."""
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
    """Log a run, an artifact and a model version in the cluster, and read them back."""
    from .verification import use

    console = _consoles(as_json)
    try:
        target = _target(config, vars_file, kubeconfig)
        with console.status("Logging a run, an artifact and a model version"):
            proof = use(target)
    except MlflowError as error:
        _fail(error, "verify", as_json)
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

    try:
        if component not in COMPONENTS:
            raise InputError("NML104", f"--component is {component!r}.", f"Give one of {', '.join(COMPONENTS)}.")
        target = _target(config, vars_file, kubeconfig)
        with cluster.asking():
            lines = cluster.logs(target, component, tail)
    except MlflowError as error:
        _fail(error, "logs", as_json)
    if as_json:
        _print("logs", pods=lines)
    else:
        for pod, text in lines.items():
            typer.echo(f"==> {pod} <==\n{text}")


@app.command("open")
def open_ui(
    config: MaybePath = CONFIG,
    vars_file: MaybePath = VARS,
    kubeconfig: str = KUBECONFIG,
    as_json: bool = JSON,
    port: int = typer.Option(5000, help="Port on this machine."),
    browser: bool = typer.Option(True, help="Open a browser too."),
) -> None:
    """Make the UI reachable on this machine until Ctrl-C, without a domain or a login."""
    from .forward import forward

    try:
        target = _target(config, vars_file, kubeconfig)
        with forward(target, port) as (url, process):
            if as_json:
                _print("open", url=url)
            else:
                typer.echo(f"{url} (Ctrl-C ends it)")
            sys.stdout.flush()
            if browser:
                typer.launch(url)
            process.wait()
    except MlflowError as error:
        _fail(error, "open", as_json)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@app.command()
def destroy(
    config: MaybePath = CONFIG,
    vars_file: MaybePath = VARS,
    kubeconfig: str = KUBECONFIG,
    as_json: bool = JSON,
    delete_data: str = typer.Option("", help="The project's name, to delete database, artifacts and keys for good."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
) -> None:
    """Remove the release and keep all data, unless the data is named."""
    from .names import DESTROY
    from .report import show_removed

    console = _consoles(as_json)
    try:
        target = _target(config, vars_file, kubeconfig)
        if delete_data not in ("", target.project):
            raise InputError(
                "NML105",
                f"--delete-data is {delete_data!r}, but the project is {target.project!r}.",
                f"Give --delete-data {target.project} to delete its data for good, or leave it out.",
            )
        if not yes:
            what = "with ALL ITS DATA" if delete_data else "and keep its data"
            typer.confirm(f"Remove {target.release} from namespace {target.namespace} {what}?", abort=True, err=True)
        extra = {"mlflow_delete_data": delete_data} if delete_data else {}
        result = _play(target, DESTROY, console, extra=extra)
    except MlflowError as error:
        _fail(error, "destroy", as_json)
    if as_json:
        _print("destroy", outputs=result.outputs)
    else:
        show_removed(console, target, result.outputs)


def main() -> None:
    """Run `nebari-mlflow`."""
    app(prog_name="nebari-mlflow")
