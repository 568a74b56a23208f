# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The resource group. One that exists is used as it is; one that this project made goes with its data, when empty."""

from __future__ import annotations

from typing import Any

from ..cloud.errors import CloudError, option
from ..cloud.ledger import Ledger
from ..cloud.neighbours import holds
from . import tagging
from .account import same_place
from .client import Azure

KIND = "resource group"
VERSION = "2024-03-01"
READ = "Microsoft.Resources/subscriptions/resourceGroups/read"
LIST = "Microsoft.Resources/subscriptions/resourceGroups/resources/read"


def ensure_present(
    azure: Azure, plan: Ledger, name: str, location: str, tags: dict[str, str], moves: bool = True
) -> str:
    """Return the location for what is to be in the group.

    A group may hold what is elsewhere, so `location` may be another one, unless it is the group's own: not `moves`.
    Raises CloudError if it is elsewhere, or missing and no location is given.
    """
    path = f"{azure.subscription}/resourceGroups/{name}"
    found = azure.get(path, VERSION, READ)
    if found is not None:
        there = str(found["location"])
        if location and not moves and same_place(location) != same_place(there):
            raise CloudError(
                f"Resource group {name} is in {there}, not in {location}. Nothing was changed.",
                f"Give location={there}, or use another group; a group cannot change its location.",
            )
        return location or there
    if not location:
        raise CloudError(
            f"Resource group {name} does not exist. Nothing was changed.",
            f"Create it, or give {option('location', 'mlflow_azure_location')} to have it created.",
        )
    body = {"location": location, "tags": tags}
    permission = "Microsoft.Resources/subscriptions/resourceGroups/write"
    plan.create(KIND, name, body, lambda: azure.call("PUT", path, VERSION, permission, body))
    return location


def ensure_absent(azure: Azure, plan: Ledger, name: str, owner: str, gone: set[str]) -> None:
    """Delete a group that we made, if it holds nothing but `gone`, which this removal deletes before."""
    path = f"{azure.subscription}/resourceGroups/{name}"
    found: dict[str, Any] | None = azure.get(path, VERSION, READ)
    if found is None or tagging.owner_of(found) != owner:
        return
    known = {each.lower() for each in gone}
    entries = azure.entries(f"{path}/resources", VERSION, LIST)
    held = [each["id"].rpartition("/providers/")[2] for each in entries if each["id"].lower() not in known]
    if held:
        plan.keep(KIND, name, holds(held))
        return
    permission, absent = "Microsoft.Resources/subscriptions/resourceGroups/delete", ("ResourceGroupNotFound",)
    plan.delete(KIND, name, lambda: azure.call("DELETE", path, VERSION, permission, absent=absent))
