"""Managed identities, their federated credentials, and role assignments.

https://learn.microsoft.com/rest/api/managedidentity and https://learn.microsoft.com/rest/api/authorization
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from ..http import Request, Response, answer
from .arm import Arm, Refused, known, placed, tagged
from .storage import registered

IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
CREDENTIALS = 20  # https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations
LONGEST = 600  # characters of an issuer, a subject or an audience
# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/storage
ROLES = {"ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor"}
ROLE = re.compile(r"/subscriptions/[^/]+/providers/Microsoft.Authorization/roleDefinitions/([^/]+)")


def identity_get(arm: Arm, request: Request, *_: str) -> Any:
    return arm.get(request)


def identity_put(arm: Arm, request: Request, _: str, __: str, name: str) -> Any:
    body = known(request.json(), {"location", "tags"}, {"location"})
    location = placed(body)
    if not re.fullmatch("[a-z0-9][a-z0-9_-]{2,127}", name):
        raise Refused(400, "InvalidResourceName", f"The resource name '{name}' is not valid.")
    registered(arm, "Microsoft.ManagedIdentity")
    old = arm.resources.get(request.path.lower())
    ids = {"tenantId": str(uuid.uuid4()), "principalId": str(uuid.uuid4()), "clientId": str(uuid.uuid4())}
    if not old:
        arm.hidden[request.path.lower()] = arm.lag
        arm.unknown_for[ids["principalId"]] = arm.lag
    made = arm.put(request, IDENTITIES, {
        "location": location, "tags": tagged(old["tags"] if old else {}, body.get("tags", {})),
        "properties": old["properties"] if old else ids,
    })  # fmt: skip
    made["id"] = made["id"].replace("/resourceGroups/", "/resourcegroups/")  # this provider writes it small
    return answer(200 if old else 201, made)


def identity_patch(arm: Arm, request: Request, *_: str) -> Any:
    body = known(request.json(), {"tags"})
    identity = arm.get(request)
    identity["tags"] = tagged(identity.get("tags", {}), body["tags"])
    return identity


def identity_delete(arm: Arm, request: Request, *_: str) -> Any:
    if request.path.lower() not in arm.resources:
        return Response(204)
    arm.remove(request.path.lower())
    return Response(200)


def credential_get(arm: Arm, request: Request, *_: str) -> Any:
    return arm.get(request, "NotFound")


def credential_put(arm: Arm, request: Request, _: str, __: str, ___: str, name: str) -> Any:
    fields = {"issuer", "subject", "audiences"}
    properties = known(known(request.json(), {"properties"}, {"properties"})["properties"], fields, fields)
    path, identity = request.path.lower(), request.path.lower().partition("/federatedidentitycredentials")[0]
    arm.parent(request, identity)
    if not re.fullmatch("[a-zA-Z0-9][a-zA-Z0-9-_]{2,119}", name):
        raise Refused(400, "BadRequest", f"'{name}' is not a valid name of a credential.")
    if not properties["issuer"].startswith("https://") or len(properties["audiences"]) != 1:
        raise Refused(400, "BadRequest", "The issuer must be an https URL, with one audience.")
    if max(len(text) for text in (properties["issuer"], properties["subject"], *properties["audiences"])) > LONGEST:
        raise Refused(400, "BadRequest", f"A field has more than {LONGEST} characters.")
    others = [
        each for key, each in arm.resources.items()
        if key.startswith(f"{identity}/federatedidentitycredentials/") and key != path
    ]  # fmt: skip
    if any(all(each["properties"][key] == properties[key] for key in ("issuer", "subject")) for each in others):
        said = "Issuer and subject combination already exists for this Managed Identity."
        raise Refused(409, "Conflict", said)
    if len(others) >= CREDENTIALS:
        raise Refused(400, "BadRequest", f"Too many Federated Identity Credentials, at most {CREDENTIALS}.")
    old = path in arm.resources
    made = arm.put(request, f"{IDENTITIES}/federatedIdentityCredentials", {"properties": properties})
    arm.missed.pop(path, None)
    return answer(200 if old else 201, made)


def credential_list(arm: Arm, request: Request, *_: str) -> Any:
    arm.parent(request, request.path.lower().partition("/federatedidentitycredentials")[0])
    return arm.paged(request, arm.within(request.path.lower()))


def credential_delete(arm: Arm, request: Request, *_: str) -> Any:
    if request.path.lower() not in arm.resources:
        return Response(204)
    arm.remove(request.path.lower())
    return Response(200)


def assignment_list(arm: Arm, request: Request, scope: str) -> Any:
    """Answers what is at the scope, above it and, for a principal, below it."""
    given = request.query.get("$filter", "")
    principal = re.fullmatch("principalId eq '([^']+)'", given)
    if principal is None and given != "atScope()":
        raise Refused(501, "NotSimulated", f"filter {given}")
    matched = [
        each for path, each in arm.resources.items()
        if "/providers/microsoft.authorization/roleassignments/" in path
        and (principal is None or each["properties"]["principalId"] == principal[1])
        and (
            path.startswith(f"{scope}/" if principal else f"{scope}/providers/microsoft.authorization/")
            or scope.startswith(f"{each['properties']['scope'].lower()}/")
        )
    ]  # fmt: skip
    return arm.paged(request, matched)


def assignment_get(arm: Arm, request: Request, *_: str) -> Any:
    return arm.get(request, "RoleAssignmentNotFound")


def assignment_put(arm: Arm, request: Request, scope: str, name: str) -> Any:
    fields = {"roleDefinitionId", "principalId", "principalType"}
    body = known(request.json(), {"properties"}, {"properties"})
    properties = known(body["properties"], fields, {"roleDefinitionId", "principalId"})
    role = ROLE.fullmatch(properties["roleDefinitionId"])
    if not re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name):
        raise Refused(400, "InvalidRoleAssignmentId", f"The role assignment ID '{name}' is not valid. It is a GUID.")
    if role is None or role[1] not in ROLES:
        raise Refused(404, "RoleDefinitionDoesNotExist", "The specified role definition does not exist.")
    principal = properties["principalId"]
    identities = [each for each in arm.resources.values() if each.get("type") == IDENTITIES]
    exists = any(each["properties"]["principalId"] == principal for each in identities)
    if not exists or arm.unknown_for.get(principal, 0) > 0:
        arm.unknown_for[principal] = arm.unknown_for.get(principal, 0) - 1
        said = (
            f"Principal {principal} does not exist in the directory. If you are creating this principal and then "
            "immediately assigning a role, this error might be related to a replication delay."
        )
        raise Refused(400, "PrincipalNotFound", said)
    if properties.get("principalType", "User") != "ServicePrincipal":
        raise Refused(400, "UnmatchedPrincipalType", f"The principal {principal} is not of that type.")
    if scope not in arm.resources:
        raise Refused(404, "ResourceNotFound", f"The scope '{scope}' was not found.")
    path = request.path.lower()
    if path in arm.resources:
        if arm.resources[path]["properties"]["principalId"] != principal:
            said = "Tenant ID, application ID, principal ID, and scope are not allowed to be updated."
            raise Refused(400, "RoleAssignmentUpdateNotPermitted", said)
        return arm.resources[path]
    same = [
        each for other, each in arm.resources.items()
        if other.startswith(f"{scope}/providers/microsoft.authorization/roleassignments/")
        and each["properties"]["principalId"] == principal
        and each["properties"]["roleDefinitionId"].endswith(role[1])
    ]  # fmt: skip
    if same:
        raise Refused(409, "RoleAssignmentExists", "The role assignment already exists.")
    written = request.path.rpartition("/providers/")[0]  # the scope as the client spelt it
    made = arm.put(request, "Microsoft.Authorization/roleAssignments", {"properties": {**properties, "scope": written}})
    return answer(201, made)


def assignment_delete(arm: Arm, request: Request, *_: str) -> Any:
    if request.path.lower() not in arm.resources:
        return Response(204)
    gone = arm.resources[request.path.lower()]
    arm.remove(request.path.lower())
    return answer(200, gone)
