"""What the deployer may do: custom roles, each at a scope and under a condition."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass

from ..http import Request
from .arm import Arm
from .conditions import Attributes, evaluate

ROLES = "Microsoft.Authorization/roleAssignments"
ATTRIBUTES = {"RoleDefinitionId": "roleDefinitionId", "PrincipalId": "principalId", "PrincipalType": "principalType"}


@dataclass(frozen=True)
class Grant:
    actions: tuple[str, ...]
    scope: str
    condition: str = ""
    data: tuple[str, ...] = ()  # actions on data

    def allows(self, action: str, target: str, attributes: Attributes) -> bool:
        return (
            any(fnmatch.fnmatchcase(action.lower(), each.lower()) for each in (*self.actions, *self.data))
            and f"{target.lower()}/".startswith(f"{self.scope.lower()}/")
            and (not self.condition or evaluate(self.condition, action, attributes))
        )


def allowed(grants: Iterable[Grant], action: str, target: str, attributes: Attributes) -> bool:
    return any(each.allows(action, target, attributes) for each in grants)


def attributes_of(arm: Arm, action: str, request: Request) -> dict[str, str]:
    """Return what a condition sees of a call.

    https://learn.microsoft.com/azure/role-based-access-control/conditions-authorization-actions-attributes
    """
    if action == f"{ROLES}/write":
        return attributes("Request", request.json()["properties"])
    if action == f"{ROLES}/delete" and request.path.lower() in arm.resources:
        return attributes("Resource", arm.resources[request.path.lower()]["properties"])
    return {}


def attributes(source: str, properties: dict[str, str]) -> dict[str, str]:
    return {
        f"@{source}[{ROLES}:{name}]": properties[field].rpartition("/")[2]
        for name, field in ATTRIBUTES.items()
        if field in properties
    }
