"""`nebari destroy`: remove what is in the cluster, say what stays, and never stand in the way of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import names
from ..errors import MlflowError, SetupError, UpstreamError
from ..play.view import make_console, show_failure, show_kept
from .variables import role

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from ..play.runner import Result

AZURE = "  The storage account is deleted with Nebari's resource group if it is in it."


def remove(config: Any, stage_outputs: dict[str, Any], run: Callable[[str, dict[str, Any]], Result]) -> bool:
    """Return whether nothing of the release is left in the cluster."""
    console = make_console()
    release = names.release(config.project_name)
    try:
        result = run(names.DESTROY, stage_outputs)
    except (UpstreamError, SetupError) as error:
        console.print(f"{release}: no cluster to remove it from. {error.cause}", markup=False)
        return True
    except MlflowError as error:
        show_failure(make_console(stderr=True), error)
        console.print(f"{release}: it may still be in the cluster. The rest of the teardown continues.", markup=False)
        return False
    _say_what_stays(console, config, result.outputs)
    return True


def _say_what_stays(console: Console, config: Any, outputs: dict[str, Any]) -> None:
    kept = outputs.get("kept") or []
    console.print(f"{names.release(config.project_name)}: removed.", markup=False)
    show_kept(console, kept)
    if any(item.get("namespace") for item in kept):
        console.print("  Objects in a namespace are deleted with it, or with the cluster.", markup=False)
    if role(config) == "azure":
        console.print(AZURE, markup=False)
    if any(not item.get("reason") for item in kept):
        console.print(
            "  To delete the data for good, while the cluster is there: "
            f"nebari mlflow destroy --delete-data {config.project_name}",
            markup=False,
        )
