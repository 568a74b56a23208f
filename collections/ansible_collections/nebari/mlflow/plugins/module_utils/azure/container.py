# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The container for the artifacts, and how long what is deleted in it can be brought back.

https://learn.microsoft.com/rest/api/storagerp/blob-services and /blob-containers
"""

from __future__ import annotations

from typing import Any

from ..cloud.plan import Plan, Settings
from .account import TYPE, VERSION, Account

KIND = "blob container"
SERVICE = "blob service"
NAME = "nebari-mlflow"
KEEP_DAYS = 7
READ, WRITE = f"{TYPE}/blobServices/containers/read", f"{TYPE}/blobServices/containers/write"


def id_of(account: Account) -> str:
    return f"{account.id}/blobServices/default/containers/{NAME}"


def ensure_service(plan: Plan, account: Account, exists: bool) -> None:
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


def ensure_present(plan: Plan, account: Account, exists: bool) -> None:
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
    """Return what else somebody keeps in the account: containers, file shares, queues and tables."""
    return [
        f"{kind} {each['name']}"
        for kind in ("blobServices/containers", "fileServices/shares", "queueServices/queues", "tableServices/tables")
        for each in account.azure.entries(
            f"{account.id}/{kind.replace('/', '/default/')}", VERSION, f"{TYPE}/{kind}/read"
        )
        if (kind, each["name"]) != ("blobServices/containers", NAME)
    ]


def ensure_absent(plan: Plan, account: Account) -> None:
    path = id_of(account)
    if account.azure.get(path, VERSION, READ) is not None:
        permission = f"{TYPE}/blobServices/containers/delete"
        gone = ("ContainerNotFound",)
        plan.delete(KIND, NAME, lambda: account.azure.call("DELETE", path, VERSION, permission, absent=gone))


def _days(policy: dict[str, Any] | None) -> int:
    return int(policy.get("days", 0)) if policy and policy.get("enabled") else 0


def _writable(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the properties without what only the service writes."""
    restore = {key: value for key, value in properties.get("restorePolicy", {}).items() if key in ("enabled", "days")}
    return {**properties, **({"restorePolicy": restore} if restore else {})}


def _kept(properties: dict[str, Any], name: str, days: int) -> dict[str, Any]:
    return {**properties.get(name, {}), "enabled": True, "days": days}
