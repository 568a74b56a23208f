# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The managed identity, the Kubernetes service account that may take it, and its right on the container.

https://learn.microsoft.com/rest/api/managedidentity
https://learn.microsoft.com/rest/api/authorization/role-assignments
"""

from __future__ import annotations

import re
import uuid
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from ..cloud.errors import foreign
from ..cloud.ledger import Ledger, Settings
from ..cloud.naming import SERVICE_ACCOUNT
from ..cloud.neighbours import holds
from . import tagging
from .client import Azure

KIND = "managed identity"
TYPE = "Microsoft.ManagedIdentity/userAssignedIdentities"
VERSION = "2023-01-31"
CREDENTIAL = "federated credential"
CREDENTIAL_NAME = "nebari-mlflow"
CHILD = "federatedIdentityCredentials"
CREDENTIALS = f"{TYPE}/{CHILD}"
AUDIENCE = "api://AzureADTokenExchange"  # of the tokens that the webhook gives to pods, in all clouds
ASSIGNMENT = "role assignment"
ASSIGNMENTS = "Microsoft.Authorization/roleAssignments"
ASSIGNMENTS_VERSION = "2022-04-01"
# Storage Blob Data Contributor: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/storage
ROLE, ROLE_NAME = "ba92f5b4-2d11-453d-a403-e96b0029c9fe", "Storage Blob Data Contributor"
UNKNOWN = "(known after the identity is created)"


def id_of(azure: Azure, group: str, name: str) -> str:
    """Return the resource id of a managed identity."""
    return f"{azure.subscription}/resourceGroups/{group}/providers/{TYPE}/{name}"


def issuer_of(url: str) -> str:
    """Return the issuer as the cluster's tokens have it: AKS ends its own with a slash, and each letter counts."""
    host = urlsplit(url).hostname or ""
    return f"{url.rstrip('/')}/" if re.search(r"\.oic\.prod-aks\.azure\.(com|us|cn)$", host) else url


def find(azure: Azure, path: str, owner: str) -> dict[str, Any] | None:
    """Return the identity, or None. Raises CloudError if it belongs to another deployment."""
    found = azure.get(path, VERSION, f"{TYPE}/read")
    theirs = tagging.owner_of(found) or owner
    if theirs != owner:
        raise foreign(KIND, path.rpartition("/")[2], theirs, owner)
    return found


def ensure_present(
    azure: Azure, plan: Ledger, path: str, found: dict[str, Any] | None, location: str, tags: dict[str, str]
) -> dict[str, str]:
    """Return the identity's properties: `clientId` and `principalId`, unknown while it is only planned."""
    name = path.rpartition("/")[2]
    made: dict[str, str] = {"clientId": UNKNOWN, "principalId": UNKNOWN}
    if found is None:
        body = {"location": location, "tags": tags}

        def create() -> None:
            made.update(azure.call("PUT", path, VERSION, f"{TYPE}/write", body)["properties"])

        plan.create(KIND, name, body, create)
        return made
    current = found.get("tags") or {}
    wanted: Settings = {"tags": tagging.merged(current, tags)}
    plan.update(
        KIND, name, {"tags": current}, wanted, lambda _: azure.call("PATCH", path, VERSION, f"{TYPE}/write", wanted)
    )
    properties: dict[str, str] = found["properties"]
    return properties


def ensure_credential(azure: Azure, plan: Ledger, path: str, exists: bool, issuer: str, namespace: str) -> None:
    """Let one service account of one cluster be this identity.

    Azure takes an issuer with a subject once, so a credential that says the same under another name is used instead.
    """
    wanted: Settings = {
        "issuer": issuer_of(issuer),
        "subject": f"system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}",
        "audiences": [AUDIENCE],
    }

    def ensure(name: str, found: dict[str, Any] | None) -> None:
        def write(_: tuple[str, ...] = ()) -> None:
            azure.call("PUT", f"{path}/{CHILD}/{name}", VERSION, f"{CREDENTIALS}/write", {"properties": wanted})

        if found is None:
            plan.create(CREDENTIAL, name, wanted, write)
        else:
            plan.update(CREDENTIAL, name, found["properties"], wanted, write)

    ours = azure.get(f"{path}/{CHILD}/{CREDENTIAL_NAME}", VERSION, f"{CREDENTIALS}/read") if exists else None
    others = [] if not exists or _says_the_same(ours, wanted) else _credentials(azure, path)
    same = next((each for each in others if each["name"] != CREDENTIAL_NAME and _says_the_same(each, wanted)), None)
    if same is None:
        ensure(CREDENTIAL_NAME, ours)
        return
    if ours is not None:
        _delete_credential(azure, plan, path)  # it lets another subject in, and cannot be corrected beside the other
    ensure(str(same["name"]), same)


def ensure_assignment(azure: Azure, plan: Ledger, scope: str, path: str, principal: str, exists: bool) -> None:
    """Grant the role on the container only. `exists` says whether container and identity were there before."""
    target = assignment_id(scope, path)
    wanted: Settings = {"role": ROLE_NAME, "principalId": principal}
    body = {
        "properties": {
            "roleDefinitionId": f"{azure.subscription}/providers/Microsoft.Authorization/roleDefinitions/{ROLE}",
            "principalId": principal,
            "principalType": "ServicePrincipal",
        }
    }

    def create() -> None:
        azure.call("PUT", target, ASSIGNMENTS_VERSION, f"{ASSIGNMENTS}/write", body, absent=("RoleAssignmentExists",))

    def replace(_: tuple[str, ...]) -> None:
        _delete(azure, target)
        create()

    found = azure.get(target, ASSIGNMENTS_VERSION, f"{ASSIGNMENTS}/read")
    if found is not None:
        # An assignment cannot be changed: one for a deleted identity is replaced.
        properties = found["properties"]
        plan.update(ASSIGNMENT, ROLE_NAME, {"role": ROLE_NAME, **properties}, wanted, replace)
    elif not (exists and _granted(azure, scope, principal)):  # under another name it is as good
        plan.create(ASSIGNMENT, ROLE_NAME, {**wanted, "scope": scope}, create)


def ensure_assignment_absent(azure: Azure, plan: Ledger, scope: str, path: str, principal: str) -> None:
    """Remove the role, also one of another name, unless others use the identity; `principal` is read if it is ""."""
    target = assignment_id(scope, path)
    if azure.get(target, ASSIGNMENTS_VERSION, f"{ASSIGNMENTS}/read") is not None:
        plan.delete(ASSIGNMENT, ROLE_NAME, lambda: _delete(azure, target))
    if not principal:
        found = azure.get(path, VERSION, f"{TYPE}/read")
        principal = str(found["properties"]["principalId"]) if found else ""
    granted = _granted(azure, scope, principal) if principal else []
    same = [each for each in granted if each["name"] != target.rpartition("/")[2]]
    theirs = [each["name"] for each in _credentials(azure, path) if each["name"] != CREDENTIAL_NAME] if same else []
    for each in same:
        if theirs:
            reason = f"the identity {path.rpartition('/')[2]} also has the {CREDENTIAL} {theirs[0]}"
            plan.keep(ASSIGNMENT, f"{ROLE_NAME} ({each['name']})", reason)
        else:
            plan.delete(ASSIGNMENT, f"{ROLE_NAME} ({each['name']})", partial(_delete, azure, each["id"]))


def ensure_credential_absent(azure: Azure, plan: Ledger, path: str) -> None:
    """Delete the credential, if there is one."""
    if azure.get(f"{path}/{CHILD}/{CREDENTIAL_NAME}", VERSION, f"{CREDENTIALS}/read") is not None:
        _delete_credential(azure, plan, path)


def ensure_absent(azure: Azure, plan: Ledger, path: str, found: dict[str, Any] | None, scope: str) -> bool:
    """Delete the identity with its credential; return whether it is gone.

    One that other people use stays and loses only our credential. Its role on `scope` is ours.
    """
    if found is None:
        return True
    name = path.rpartition("/")[2]
    credentials = [each["name"] for each in _credentials(azure, path)]
    theirs = [f"{CREDENTIAL} {each}" for each in credentials if each != CREDENTIAL_NAME]
    theirs += _other_assignments(azure, scope, path, str(found["properties"]["principalId"]))
    if not theirs:
        gone = ("ResourceNotFound",)
        plan.delete(KIND, name, lambda: azure.call("DELETE", path, VERSION, f"{TYPE}/delete", absent=gone))
        return True
    if CREDENTIAL_NAME in credentials:
        _delete_credential(azure, plan, path)
    plan.keep(KIND, name, holds(theirs))
    return False


def assignment_id(scope: str, path: str) -> str:
    """Return the assignment's id. Its name is the same in every run, so it is created once."""
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"{scope.lower()}|{path.lower()}|{ROLE}")
    return f"{scope}/providers/{ASSIGNMENTS}/{name}"


def _other_assignments(azure: Azure, scope: str, path: str, principal: str) -> list[str]:
    """Return the rights that the identity has elsewhere, as far as the resource group shows them."""
    group = path.partition("/providers/")[0]
    query = {"$filter": f"principalId eq '{principal}'"}
    found = azure.entries(f"{group}/providers/{ASSIGNMENTS}", ASSIGNMENTS_VERSION, f"{ASSIGNMENTS}/read", **query)
    return [
        f"{ASSIGNMENT} on {where}"
        for where in (each["properties"]["scope"] for each in found)
        if where.lower() != scope.lower()
    ]


def _granted(azure: Azure, scope: str, principal: str) -> list[dict[str, Any]]:
    """Return the assignments that grant exactly this, whatever their names."""
    query = {"$filter": f"principalId eq '{principal}'"}
    listed = azure.entries(f"{scope}/providers/{ASSIGNMENTS}", ASSIGNMENTS_VERSION, f"{ASSIGNMENTS}/read", **query)
    return [
        each
        for each in listed
        if each["properties"]["roleDefinitionId"].endswith(ROLE)
        and each["properties"]["scope"].lower() == scope.lower()
    ]


def _credentials(azure: Azure, path: str) -> list[dict[str, Any]]:
    return azure.entries(f"{path}/{CHILD}", VERSION, f"{CREDENTIALS}/read")


def _says_the_same(found: dict[str, Any] | None, wanted: Settings) -> bool:
    return found is not None and all(found["properties"].get(key) == wanted[key] for key in ("issuer", "subject"))


def _delete(azure: Azure, target: str) -> None:
    azure.call("DELETE", target, ASSIGNMENTS_VERSION, f"{ASSIGNMENTS}/delete", absent=("RoleAssignmentNotFound",))


def _delete_credential(azure: Azure, plan: Ledger, path: str) -> None:
    target, permission = f"{path}/{CHILD}/{CREDENTIAL_NAME}", f"{CREDENTIALS}/delete"
    gone = ("NotFound", "ResourceNotFound")
    plan.delete(CREDENTIAL, CREDENTIAL_NAME, lambda: azure.call("DELETE", target, VERSION, permission, absent=gone))
