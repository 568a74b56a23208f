"""`backup`, `restore` and `gc`: each is one playbook; what is replaced is shown before, and confirmed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import typer

from ..errors import Cancelled, InputError
from .options import Options, command, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..play.runner import Result

ACTIONS = ("make", "list", "prune")
QUESTIONS = {
    "undo": "Remove what was restored, and take back what was there before?",
    "discard": "Delete what the last restore put aside? This cannot be undone.",
}
ARTIFACTS = ("none", "copy", "versioning")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app)(backup)
    command(app)(restore)
    command(app)(gc)


def _play(options: Options, playbook: str, **extra: str) -> Result:
    from .app import play

    return play(options.target(), playbook, options.console(), extra=extra, unlimited=True)


def _show(options: Options, kind: str, task: str, result: Result) -> None:
    from ansible_collections.nebari.mlflow.plugins.filter.backups import backed_up

    if options.as_json:
        print_json(kind, outputs=result.outputs, seconds=round(result.elapsed, 1))
        return
    for line in backed_up(result.outputs, task):
        options.console().print(line, markup=False)


def backup(
    options: Options,
    action: str = typer.Argument("make", help="make, list or prune."),
    artifacts: str = typer.Option("", help="none, copy or versioning. Defaults to the value backup.artifacts."),
) -> None:
    """Back up the database, MLflow's keys and, if asked, the artifacts; list backups, or remove old ones."""
    from ..names import BACKUP

    if action not in ACTIONS:
        raise InputError("NML104", f"{action!r} is not an action.", f"Give one of {', '.join(ACTIONS)}.")
    if artifacts and artifacts not in ARTIFACTS:
        raise InputError("NML104", f"--artifacts is {artifacts!r}.", f"Give one of {', '.join(ARTIFACTS)}.")
    task = "backup" if action == "make" else action
    extra = {"mlflow_backup_artifacts": artifacts} if artifacts else {}
    _show(options, "backup", task, _play(options, BACKUP, mlflow_backup_task=task, **extra))


def restore(
    options: Options,
    backup_id: str = typer.Argument("newest", metavar="BACKUP", help="As the list names it."),
    source: str = typer.Option("", help="Where another deployment keeps its backups: s3://… Defaults to this one's."),
    identity: Optional[Path] = typer.Option(  # noqa: UP045, B008 (typer 0.9)
        None, help="File with age's private key, to put MLflow's keys back as well."
    ),
    drill: bool = typer.Option(False, "--drill", help="Only rehearse the restore, in a separate database."),
    secrets: bool = typer.Option(False, "--secrets", help="Only put the Secrets back; needs --identity."),
    undo: bool = typer.Option(False, "--undo", help="Take back what the last restore put aside."),
    discard: bool = typer.Option(False, "--discard", help="Delete what the last restore put aside."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask for confirmation."),
) -> None:
    """Restore a backup. What is there is put aside, and comes back if anything fails."""
    tasks = {"drill": drill, "secrets": secrets, "undo": undo, "discard": discard}
    chosen = [name for name, given in tasks.items() if given]
    if len(chosen) > 1:
        raise InputError("NML104", f"--{' and --'.join(chosen)} are given together.", "Give one of them.")
    extra = {"mlflow_backup_id": backup_id, "mlflow_backup_source": source, **_identity(identity, required=secrets)}
    if chosen:
        if question := QUESTIONS.get(chosen[0]):
            _confirm(yes, question)
        _do(options, chosen[0], extra)
        return
    found = _do(options, "inspect", extra, show=False)
    _ask(options, found, yes)
    extra["mlflow_backup_id"] = str(found["backup"]["id"])  # what was confirmed, also if a newer one is made meanwhile
    _do(options, "restore", {**extra, "mlflow_restore_confirm": options.target().project})


def gc(
    options: Options,
    days: int = typer.Option(-1, help="Age in days. Defaults to the value gc.olderThanDays.", show_default=False),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only show what would be deleted."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask for confirmation."),
) -> None:
    """Delete for good what was deleted in MLflow long ago, with its artifacts. Shows first what that is."""
    from ..names import GC

    extra = {"mlflow_gc_days": str(days)} if days >= 0 else {}
    found = _play(options, GC, **extra)
    nothing = not any(found.outputs[name] for name in ("runs", "experiments", "logged_models"))
    if dry_run or nothing or not options.as_json:
        _show(options, "gc", "gc", found)
    if dry_run or nothing:
        return
    _confirm(yes, "Delete this for good? Only a backup can bring it back.")
    _show(options, "gc", "gc", _play(options, GC, mlflow_gc_delete="true", **extra))


def _do(options: Options, task: str, extra: Mapping[str, str], *, show: bool = True) -> dict[str, Any]:
    from ..names import RESTORE

    result = _play(options, RESTORE, mlflow_restore_task=task, **extra)
    if show:
        _show(options, "restore", task, result)
    return result.outputs


def _identity(given: Path | None, *, required: bool) -> dict[str, str]:
    if given is None:
        if required:
            raise InputError("NML104", "--secrets needs the private key.", "Give its file with --identity.")
        return {}
    if not given.is_file():
        raise InputError("NML104", f"{given} is not a file.", "Give the file that age-keygen wrote with --identity.")
    return {"mlflow_restore_identity": str(given.resolve())}


def _ask(options: Options, found: Mapping[str, Any], yes: bool) -> None:
    from ansible_collections.nebari.mlflow.plugins.filter.backups import backed_up

    for line in [] if options.as_json else backed_up(found, "inspect"):
        options.console().print(line, markup=False)
    if any(found["replaces"].values()):
        _confirm(yes, f"Replace this by backup {found['backup']['id']}?")


def _confirm(yes: bool, question: str) -> None:
    from .app import confirmed

    if not (yes or confirmed(question)):
        raise Cancelled("NML503", "Nothing was changed: the change was not confirmed.", "Answer y, or give --yes.")
