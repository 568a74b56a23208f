"""What Nebari calls. It imports this module at every start, so the hooks import what they need when they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pluggy import HookimplMarker

if TYPE_CHECKING:
    import typer

    from .plugin.stage import MlflowStage

hookimpl = HookimplMarker("nebari")


@hookimpl
def nebari_stage() -> list[type[MlflowStage]]:
    """Register the stage."""
    from .plugin.stage import MlflowStage

    return [MlflowStage]


@hookimpl
def nebari_subcommand(cli: typer.Typer) -> None:
    """Mount the command line as `nebari mlflow`."""
    from .cli.app import app

    cli.add_typer(app, name="mlflow", rich_help_panel="Plugins")
