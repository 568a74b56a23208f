# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The storage account.

https://learn.microsoft.com/rest/api/storagerp/storage-accounts
"""

from __future__ import annotations

from typing import Any

from ..cloud.errors import CloudError, foreign, option
from ..cloud.ledger import Ledger, Settings
from ..cloud.naming import OWNER
from ..cloud.retry import until
from . import network, tagging
from .client import Azure

KIND = "storage account"
TYPE = "Microsoft.Storage/storageAccounts"
VERSION = "2023-05-01"
APPEARANCE = 45.0  # seconds in which an account that is being made shows
# Our names for the properties of the account that keep it safe, and their values.
SAFE = {
    "minimum_tls": ("minimumTlsVersion", "TLS1_2"),
    "public_access": ("allowBlobPublicAccess", False),
    "shared_key": ("allowSharedKeyAccess", False),
    "https_only": ("supportsHttpsTrafficOnly", True),
}


class NotShown(Exception):
    """An account whose name is taken cannot be read, yet or ever."""


class Account:
    """A storage account by its name, as Azure Resource Manager sees it. Every call may raise CloudError."""

    def __init__(self, azure: Azure, group: str, name: str) -> None:
        self.azure = azure
        self.name = name
        self.id = f"{azure.subscription}/resourceGroups/{group}/providers/{TYPE}/{name}"

    def read(self) -> dict[str, Any] | None:
        """Return the account, or None."""
        return self.azure.get(self.id, VERSION, f"{TYPE}/read")

    def await_own(self) -> dict[str, Any] | None:
        """Return the account once it shows, or None if the name is free. Raises CloudError if it is taken.

        An account that an interrupted run began to make takes its name at once, and shows half a minute later.
        """
        taken = self._taken()
        if not taken:
            return None
        try:
            return until(
                self._shown, lambda e: isinstance(e, NotShown), self.azure.progress, f"{KIND} {self.name}", APPEARANCE
            )
        except NotShown:
            raise CloudError(
                f"{KIND} {self.name} cannot be created: {taken} Nothing was changed.",
                "If a deploy was interrupted just now, run it again. Otherwise the name is taken, or was released only "
                "minutes ago: use another project name.",
            ) from None

    def _shown(self) -> dict[str, Any]:
        found = self.read()
        if found is None:
            raise NotShown
        return found

    def _taken(self) -> str:
        """Return why the name cannot be had, "" when it can."""
        path = f"{self.azure.subscription}/providers/Microsoft.Storage/checkNameAvailability"
        permission = "Microsoft.Storage/checkNameAvailability/read"
        found = self.azure.call("POST", path, VERSION, permission, {"name": self.name, "type": TYPE})
        return "" if found["nameAvailable"] else str(found.get("message") or found.get("reason"))

    def create(self, wanted: Settings, location: str) -> None:
        """Create it, and wait until Azure is done."""
        body = {"location": location, "kind": "StorageV2", **_body(wanted, tuple(wanted))}
        self.azure.call("PUT", self.id, VERSION, f"{TYPE}/write", body)

    def patch(self, wanted: Settings, fields: tuple[str, ...]) -> None:
        """Write the named settings only."""
        self.azure.call("PATCH", self.id, VERSION, f"{TYPE}/write", _body(wanted, fields))

    def delete(self) -> None:
        """Delete it with everything in it, if it exists."""
        self.azure.call("DELETE", self.id, VERSION, f"{TYPE}/delete", absent=("ResourceNotFound",))


def choose(azure: Azure, group: str, name: str, adopt: str) -> tuple[Account, dict[str, Any] | None]:
    """Return our account and what it is; `adopt` is used when ours does not exist and that one does."""
    ours = Account(azure, group, name)
    found = ours.read()
    if found is None and adopt:
        other = Account(azure, group, adopt)
        taken = other.read()
        if taken is not None:
            return other, taken
    return ours, found


def ensure_present(
    plan: Ledger, account: Account, found: dict[str, Any] | None, tags: dict[str, str], location: str,
    replication: str, rules: dict[str, Any] | None
) -> bool:  # fmt: skip
    """Create or repair the account; return whether it was there. Only what differs is patched: what others set stays.

    Without `replication` an account keeps its own, and a new one gets LRS.
    """
    found = found or account.await_own()
    check_owner(account, found, tags[OWNER])
    check_location(account, found, location)
    current: Settings = _settings(found) if found else {"tags": {}, "replication": "Standard_LRS"}
    wanted: Settings = {
        "tags": tagging.merged(current["tags"], tags),
        "replication": f"Standard_{replication}" if replication else current["replication"],
        **{name: value for name, (_, value) in SAFE.items()},
    }
    if rules:
        wanted["network"] = network.merged(rules, current.get("network", {}))
    if found is None:
        plan.create(KIND, account.name, {**wanted, "location": location}, lambda: account.create(wanted, location))
        return False
    plan.update(KIND, account.name, current, wanted, lambda fields: account.patch(wanted, fields))
    return True


def check_owner(account: Account, found: dict[str, Any] | None, owner: str) -> None:
    """Raise CloudError if the account's tags name another deployment as the owner."""
    theirs = tagging.owner_of(found) or owner
    if theirs != owner:
        raise foreign(KIND, account.name, theirs, owner)


def check_location(account: Account, found: dict[str, Any] | None, location: str) -> None:
    """Refuse an account that is elsewhere than where it is asked for; without a location it is anywhere."""
    there = str((found or {}).get("location", ""))
    if location and there and same_place(there) != same_place(location):
        given = option("location", "mlflow_azure_location", there)
        raise CloudError(
            f"{KIND} {account.name} is in {there}, not in {location}. Nothing was changed.",
            f"Give {given}, or move the artifacts; an account cannot change its location.",
        )


def same_place(location: str) -> str:
    """Return a location as Azure keeps it; people also write its display name."""
    return location.lower().replace(" ", "")


def _settings(found: dict[str, Any]) -> Settings:
    properties = found["properties"]
    return {
        "tags": found.get("tags") or {},
        "replication": found["sku"]["name"],
        **{name: properties.get(theirs) for name, (theirs, _) in SAFE.items()},
        "network": properties.get("networkAcls") or {},
    }


def _body(wanted: Settings, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the part of the resource that holds these fields."""
    body: dict[str, Any] = {}
    properties = {SAFE[name][0]: wanted[name] for name in fields if name in SAFE}
    if "network" in fields:
        properties["networkAcls"] = wanted["network"]
    if properties:
        body["properties"] = properties
    if "tags" in fields:
        body["tags"] = wanted["tags"]
    if "replication" in fields:
        body["sku"] = {"name": wanted["replication"]}
    return body
