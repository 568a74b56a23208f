# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""See that a deploy changes the artifact store of a server, from what the plan has read anyway.

Runs know their artifacts by a path in the server's store. A new store does not have the files, and nobody copies them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..kube.objects import Object
    from .comparison import Comparison

OPTION = "--artifacts-destination="
"""Option of MLflow's server."""


def of_server(workload: Object) -> str:
    """Return the store that a workload's containers serve; "" if they serve none."""
    containers = workload["spec"]["template"]["spec"]["containers"]
    options = [word for each in containers for word in [*(each.get("command") or []), *(each.get("args") or [])]]
    return next((str(word).removeprefix(OPTION).rstrip("/") for word in options if str(word).startswith(OPTION)), "")


def warnings(comparisons: Iterable[Comparison]) -> list[str]:
    """Return what follows for the artifacts that are there."""
    found = []
    for each in comparisons:
        if each.key.kind != "Deployment" or each.live is None:
            continue
        before, after = of_server(each.live), of_server(each.item)
        if before and after and before != after:
            found.append(
                f"The artifact store of {each.key.name} changes from {before} to {after}. What lies in the old store "
                "stays there, but the server reads the new one, so existing runs and models lose their artifacts. To "
                "take them along, make a backup with --artifacts copy before this deploy, and restore it afterwards. "
                "Both deploys need the same backup.destination."
            )
    return found
