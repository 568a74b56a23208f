# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The container for the artifacts, and how long what is deleted in it can be brought back.

https://learn.microsoft.com/rest/api/storagerp/blob-services and /blob-containers
"""

from __future__ import annotations

from typing import Any

from ..cloud.ledger import Ledger, Settings
from ..cloud.neighbours import ADOPTED, holds
from . import blobs
from .account import TYPE, VERSION, Account
from .client import Closed

KIND = "blob container"
SERVICE = "blob service"
NAME = "nebari-mlflow"
KEEP_DAYS = 7
# What an account may hold, and the query that also lists what can be brought back.
HELD: tuple[tuple[str, str, dict[str, str]], ...] = (
    (KIND, "blobServices/containers", {"$include": "deleted"}),
    ("file share", "fileServices/shares", {"$expand": "deleted"}),
    ("queue", "queueServices/queues", {}),
    ("table", "tableServices/tables", {}),
)
READ, WRITE = f"{TYPE}/blobServices/containers/read", f"{TYPE}/blobServices/containers/write"


def id_of(account: Account) -> str:
    """Return the container's resource id."""
    return f"{account.id}/blobServices/default/containers/{NAME}"


def ensure_service(plan: Ledger, account: Account, exists: bool) -> None:
    """Keep versioning and soft delete on; a longer time is somebody's choice."""
    path = f"{account.id}/blobServices/default"
    found = account.azure.get(path, VERSION, f"{TYPE}/blobServices/read") if exists else None
    properties: dict[str, Any] = (found or {}).get("properties", {})
    current = {
        "versioning": properties.get("isVersioningEnabled", False),
        "soft_delete": _days(properties.get("deleteRetentionPolicy")),
        "container_soft_delete": _days(properties.get("containerDeleteRetentionPolicy")),
    }
    wanted: Settings = {
        "versioning": True,
        "soft_delete": max(KEEP_DAYS, current["soft_delete"]),
        "container_soft_delete": max(KEEP_DAYS, current["container_soft_delete"]),
    }

    def write(_: tuple[str, ...]) -> None:
        # This operation replaces the whole, so what is there is sent back with it.
        ours = {
            "isVersioningEnabled": True,
            "deleteRetentionPolicy": _kept(properties, "deleteRetentionPolicy", wanted["soft_delete"]),
            "containerDeleteRetentionPolicy": _kept(
                properties, "containerDeleteRetentionPolicy", wanted["container_soft_delete"]
            ),
        }
        body = {"properties": {**_writable(properties), **ours}}
        account.azure.call("PUT", path, VERSION, f"{TYPE}/blobServices/write", body)

    plan.update(SERVICE, account.name, current, wanted, write)


def ensure_present(plan: Ledger, account: Account, exists: bool) -> None:
    """Create the container, or close it again."""
    path = id_of(account)
    found = account.azure.get(path, VERSION, READ) if exists else None
    wanted: Settings = {"container_access": "None"}
    body = {"properties": {"publicAccess": "None"}}
    if found is None:
        plan.create(KIND, NAME, wanted, lambda: account.azure.call("PUT", path, VERSION, WRITE, body))
        return
    current = {"container_access": found["properties"].get("publicAccess") or "None"}
    plan.update(KIND, NAME, current, wanted, lambda _: account.azure.call("PATCH", path, VERSION, WRITE, body))


def others(account: Account) -> list[str]:
    """Return what other people keep in the account, also what they deleted and can still bring back."""
    return [
        f"{'deleted ' if _is_deleted(each) else ''}{kind} {each['name']}"
        for kind, path, query in HELD
        for each in account.azure.entries(
            f"{account.id}/{path.replace('/', '/default/')}", VERSION, f"{TYPE}/{path}/read", **query
        )
        if (kind, each["name"]) != (KIND, NAME)
    ]


def spared(account: Account, found: dict[str, Any]) -> str:
    """Return why our container must stay, "" for no reason."""
    named = {"hasLegalHold": "a legal hold", "hasImmutabilityPolicy": "an immutability policy"}
    holding = [text for name, text in named.items() if found["properties"].get(name)]
    if holding:
        return f"{' and '.join(holding)} protects it"
    try:
        return holds(blobs.others(account.azure, account.name, NAME))
    except Closed as error:
        return f"what other people keep in it cannot be seen ({error})"


def why_account_stays(account: Account, adopted: bool) -> str:
    """Return why a removal with the data leaves the account in place, "" if it is deleted."""
    if adopted:
        return ADOPTED
    ours, theirs = find(account), others(account)
    protected = [f"{KIND} {NAME}"] if ours and spared(account, ours) else []
    return holds([*protected, *theirs])


def find(account: Account) -> dict[str, Any] | None:
    """Return the container, or None. Raises CloudError."""
    return account.azure.get(id_of(account), VERSION, READ)


def ensure_absent(plan: Ledger, account: Account) -> None:
    """Delete the container, unless it is protected or other people keep something in it."""
    found = find(account)
    if found is None:
        return
    reason = spared(account, found)
    if reason:
        plan.keep(KIND, NAME, reason)
        return
    path, permission, gone = id_of(account), f"{TYPE}/blobServices/containers/delete", ("ContainerNotFound",)
    plan.delete(KIND, NAME, lambda: account.azure.call("DELETE", path, VERSION, permission, absent=gone))


def _is_deleted(entry: dict[str, Any]) -> bool:
    return bool(entry.get("properties", {}).get("deleted"))


def _days(policy: dict[str, Any] | None) -> int:
    return int(policy.get("days", 0)) if policy and policy.get("enabled") else 0


def _writable(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the properties without what only the service writes."""
    restore = {key: value for key, value in properties.get("restorePolicy", {}).items() if key in ("enabled", "days")}
    return {**properties, **({"restorePolicy": restore} if restore else {})}


def _kept(properties: dict[str, Any], name: str, days: int) -> dict[str, Any]:
    return {**properties.get(name, {}), "enabled": True, "days": days}
