# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Tags of Azure, whose names are the same whatever their case.

https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources
"""

from __future__ import annotations

from typing import Any

from ..cloud.naming import OWNER


def merged(current: dict[str, str], ours: dict[str, str]) -> dict[str, str]:
    """Return the current tags with ours, each spelt as it is there already."""
    spelling = {name.lower(): name for name in current}
    return {**current, **{spelling.get(name.lower(), name): value for name, value in ours.items()}}


def owner_of(found: dict[str, Any] | None) -> str:
    """Return the owner's id that a resource carries, "" without one."""
    tags: dict[str, str] = (found or {}).get("tags") or {}
    return next((value for name, value in tags.items() if name.lower() == OWNER), "")
