# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The storage account.

https://learn.microsoft.com/rest/api/storagerp/storage-accounts
"""

from __future__ import annotations

from typing import Any

from ..cloud.errors import CloudError, foreign
from ..cloud.naming import OWNER
from ..cloud.plan import Plan, Settings
from .client import Azure

KIND = "storage account"
TYPE = "Microsoft.Storage/storageAccounts"
VERSION = "2023-05-01"
# Our names for the properties of the account that keep it safe, and their values.
SAFE = {
    "minimum_tls": ("minimumTlsVersion", "TLS1_2"),
    "public_access": ("allowBlobPublicAccess", False),
    "shared_key": ("allowSharedKeyAccess", False),
    "https_only": ("supportsHttpsTrafficOnly", True),
}


class Account:
    def __init__(self, azure: Azure, group: str, name: str) -> None:
        self.azure = azure
        self.name = name
        self.id = f"{azure.subscription}/resourceGroups/{group}/providers/{TYPE}/{name}"

    def read(self) -> dict[str, Any] | None:
        return self.azure.get(self.id, VERSION, f"{TYPE}/read")

    def check_name(self) -> None:
        """Refuse a name that somebody in the world has already."""
        path = f"{self.azure.subscription}/providers/Microsoft.Storage/checkNameAvailability"
        permission = "Microsoft.Storage/checkNameAvailability/read"
        found = self.azure.call("POST", path, VERSION, permission, {"name": self.name, "type": TYPE})
        if not found["nameAvailable"]:
            raise CloudError(
                f"storage account {self.name} cannot be made: {found.get('message', found.get('reason'))} "
                "Nothing was changed.",
                "Use another project name. The name of an account that was deleted is free again after some minutes.",
            )

    def create(self, wanted: Settings, location: str) -> None:
        body = {"location": location, "kind": "StorageV2", **_body(wanted, tuple(wanted))}
        self.azure.call("PUT", self.id, VERSION, f"{TYPE}/write", body)

    def patch(self, wanted: Settings, fields: tuple[str, ...]) -> None:
        self.azure.call("PATCH", self.id, VERSION, f"{TYPE}/write", _body(wanted, fields))

    def delete(self) -> None:
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
    plan: Plan, account: Account, found: dict[str, Any] | None, tags: dict[str, str], location: str,
    replication: str, rules: dict[str, Any] | None
) -> None:  # fmt: skip
    """Create or repair the account. Only what differs is patched, so what others set stays."""
    check_owner(account, found, tags[OWNER])
    current = _settings(found) if found else {"tags": {}}
    wanted: Settings = {
        "tags": {**current["tags"], **tags},
        "replication": f"Standard_{replication}",
        **{name: value for name, (_, value) in SAFE.items()},
    }
    if rules:
        wanted["network"] = _network(rules, current.get("network", {}))
    if found is None:
        account.check_name()
        plan.create(KIND, account.name, {**wanted, "location": location}, lambda: account.create(wanted, location))
    else:
        plan.update(KIND, account.name, current, wanted, lambda fields: account.patch(wanted, fields))


def check_owner(account: Account, found: dict[str, Any] | None, owner: str) -> None:
    theirs = ((found or {}).get("tags") or {}).get(OWNER, owner)
    if theirs != owner:
        raise foreign(KIND, account.name, theirs, owner)


def _settings(found: dict[str, Any]) -> Settings:
    properties = found["properties"]
    return {
        "tags": found.get("tags") or {},
        "replication": found["sku"]["name"],
        **{name: properties.get(theirs) for name, (theirs, _) in SAFE.items()},
        "network": properties.get("networkAcls", {}),
    }


def _network(rules: dict[str, Any], current: dict[str, Any]) -> dict[str, Any]:
    """Return the current rules with ours; addresses and subnets that others let in stay."""
    wanted: dict[str, Any] = {
        "defaultAction": rules.get("default_action", "Deny"),
        "bypass": rules.get("bypass", "AzureServices"),
    }
    lists = {
        "ipRules": [{"value": each, "action": "Allow"} for each in rules.get("ip_rules", [])],
        "virtualNetworkRules": [{"id": each, "action": "Allow"} for each in rules.get("subnet_ids", [])],
    }
    for name, entries in lists.items():
        key = "value" if name == "ipRules" else "id"
        known = current.get(name, [])
        there = {each[key].lower() for each in known}
        wanted[name] = [*known, *(each for each in entries if each[key].lower() not in there)]
    return {**current, **wanted}


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
