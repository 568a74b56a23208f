"""`nebari destroy`: remove what is in the cluster, say what stays, and never stand in the way of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import names
from .errors import MlflowError, SetupError, UpstreamError
from .progress import make_console, show_failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from .runner import Result

CLOUD_STORES = {
    "azure": "The storage account of the artifacts stays only if it is outside of Nebari's resource group.",
    "gcp": "The bucket of the artifacts stays, with everything in it.",
    "aws": "The bucket of the artifacts and its key stay, with everything in them.",
}


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
        console.print(f"{release}: it may still be in the cluster; the teardown of the rest goes on.", markup=False)
        return False
    _say_what_stays(console, config, result.outputs)
    return True


def _say_what_stays(console: Console, config: Any, outputs: dict[str, Any]) -> None:
    provider = str(getattr(config.provider, "value", config.provider))
    release = names.release(config.project_name)
    kept = outputs.get("kept") or []
    console.print(f"{release}: removed.", markup=False)
    for item in kept:
        console.print(f"  kept: {item.get('kind')} {item.get('name')} in namespace {config.namespace}", markup=False)
    if kept:
        console.print("  These go with the cluster or the namespace, when a later step removes those.", markup=False)
    if config.mlflow.storage is None and provider in CLOUD_STORES:
        console.print(f"  {CLOUD_STORES[provider]}", markup=False)
    if kept or provider in CLOUD_STORES:
        console.print(
            "  To delete the data for good, while the cluster is there: "
            f"nebari mlflow destroy --delete-data {config.project_name}",
            markup=False,
        )
