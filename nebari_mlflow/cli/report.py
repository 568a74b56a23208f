"""Print what the commands found, one fact a line, so that it fits a narrow terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape

from ..play.view import show_kept
from .room import DAYS
from .status import ACCESS

if TYPE_CHECKING:
    from rich.console import Console

    from .context import Target
    from .doctor import Check
    from .status import Status

COLOURS = {"Active": "green", "Waiting": "yellow", "Blocked": "red", "Absent": "dim"}
LONG = 3650  # days; a forecast beyond is none
SIGNS = {"ok": "[green]✓[/green]", "warning": "[yellow]![/yellow]", "failed": "[red]✗[/red]"}


def size(number: int | None) -> str:
    """Return bytes as a person reads them."""
    if number is None:
        return ""
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def show_status(console: Console, found: Status) -> None:
    """Print the word, why, and the facts that there are."""
    colour = COLOURS[found.state]
    console.print(f"[bold {colour}]{found.state}[/bold {colour}] {escape(found.cause)}".rstrip())
    if found.fix:
        console.print(f"  [bold]Fix:[/bold] {escape(found.fix)}")
    if not found.release:
        return
    database = [found.database.get("kind"), size(found.database.get("bytes")), *_volume(found.database)]
    rows = {
        "release": f"{found.release['name']} in {found.release['namespace']}, "
        f"revision {found.release['revision']} ({found.release['status']})",
        "versions": f"MLflow {found.versions['mlflow']}, chart {found.versions['chart']}",
        "replicas": f"{found.replicas['ready']} of {found.replicas['wanted']} ready",
        "tracking": found.tracking_uri,
        "UI": found.ui_url,
        "access": ACCESS[found.access],
        "reached": found.route.get("says", ""),
        "artifacts": ", ".join(filter(None, (found.storage.get("uri"), *_volume(found.storage)))),
        "database": ", ".join(part for part in database if part),
        "backup": _task(found.backup) or "none",
        "drill": _task(found.drill),
    }
    for name, value in rows.items():
        if value:
            console.print(f"  {name + ':':<11}{value}", markup=False)


def _task(facts: dict[str, Any]) -> str:
    """Return the last good run of a backup or a drill, and what failed since."""
    parts = [str(facts.get("backup", "")), f"{facts['ago']} ago" if facts.get("ago") else "", size(facts.get("bytes"))]
    if facts.get("secrets") is False:
        parts.append("without MLflow's keys")
    if facts.get("aside"):
        parts.append("the data from before a restore is still put aside")
    if facts.get("failure"):
        parts.append(f"FAILED since ({facts['failed_at']}): {facts['failure']}")
    return ", ".join(part for part in parts if part)


def _volume(facts: dict[str, Any]) -> list[str]:
    """Return the claim, what is free on it, and how long that lasts."""
    parts = [f"on {facts['claim']} ({facts['size']}, {facts['phase']})"] if facts.get("claim") else []
    parts += [f"{size(facts['free'])} free"] if facts.get("free") is not None else []
    if facts.get("daily"):
        days = int(facts["full_in_days"])
        ends = f"{days} days" if days < LONG else "more than 10 years"
        parts.append(f"grows by {size(facts['daily'])} a day, full in {ends} (by the runs of the last {DAYS} days)")
    return parts


def show_check(console: Console, check: Check) -> None:
    """Print one result of the doctor."""
    console.print(f"{SIGNS[check.result]} {check.name}: {escape(check.cause)}")
    if check.fix:
        console.print(f"    {check.fix}", markup=False)


def show_removed(console: Console, target: Target, outputs: dict[str, Any]) -> None:
    """Print what is gone and what is kept."""
    changes = outputs.get("changes") or []
    console.print(f"{target.release}: {'removed.' if changes else 'was not there.'}", markup=False)
    kept = outputs.get("kept") or []
    show_kept(console, kept)
    if any(not item.get("reason") for item in kept):
        deletion = f"{target.command('destroy')} --delete-data {target.project}"
        console.print(f"  To delete it for good: {deletion}", markup=False)


def show_adopted(console: Console, found: dict[str, Any]) -> None:
    """Print what the old release is and holds, and how both databases compare."""
    if not found or found["stage"] == "absent":
        console.print("No release of another MLflow chart was found.", markup=False)
        return
    console.print(f"old release: chart {found['chart']}, MLflow {found['app_version']}", markup=False)
    for claim in found["claims"]:
        console.print(f"  volume: {claim['name']} {claim['size']}", markup=False)
    for name, value in found["holds"].items():
        console.print(f"  {name}: {value}", markup=False)
    console.print(f"  artifacts: {found['artifacts']}", markup=False)
    for line in [*found["artifacts_next"], *found["lines"]]:
        console.print(f"  {line}", markup=False)
