"""Every call that is simulated: its api-version, the action that it needs, and the reference that it follows.

Actions are those of https://learn.microsoft.com/azure/role-based-access-control/resource-provider-operations, versions
those that https://github.com/Azure/azure-rest-api-specs has.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ..http import Request
from . import arm, containers, identity, storage
from .arm import GROUP

Handler = Callable[..., Any]

ACCOUNT = rf"{GROUP}/providers/microsoft.storage/storageaccounts/([^/]+)"
SERVICE = rf"{ACCOUNT}/blobservices/default"
CONTAINER = rf"{SERVICE}/containers/([^/]+)"
USER = rf"{GROUP}/providers/microsoft.managedidentity/userassignedidentities/([^/]+)"
CREDENTIAL = rf"{USER}/federatedidentitycredentials/([^/]+)"
ASSIGNMENTS = r"(/subscriptions/.+)/providers/microsoft.authorization/roleassignments"
ASSIGNMENT = rf"{ASSIGNMENTS}/([^/]+)"
RESOURCES = "Microsoft.Resources/subscriptions/resourceGroups"
ACCOUNTS, IDENTITIES = storage.ACCOUNTS, identity.IDENTITIES
ROLES = "Microsoft.Authorization/roleAssignments"
REST = "https://learn.microsoft.com/rest/api/"


class Route(NamedTuple):
    method: str
    path: str
    version: str
    action: str
    handler: Handler
    reference: str


def _routes(version: str, *entries: tuple[str, str, str, Handler, str]) -> list[Route]:
    return [
        Route(method, path, version, action, handler, REST + page) for method, path, action, handler, page in entries
    ]


ROUTES = [
    *_routes(
        "2024-03-01",
        ("GET", GROUP, f"{RESOURCES}/read", arm.group_get, "resources/resource-groups/get"),
        ("PUT", GROUP, f"{RESOURCES}/write", arm.group_put, "resources/resource-groups/create-or-update"),
        ("DELETE", GROUP, f"{RESOURCES}/delete", arm.group_delete, "resources/resource-groups/delete"),
        ("GET", f"{GROUP}/resources", f"{RESOURCES}/resources/read", arm.group_list,
         "resources/resources/list-by-resource-group"),
    ),
    *_routes(
        "2023-05-01",
        ("POST", "/subscriptions/([^/]+)/providers/microsoft.storage/checknameavailability",
         "Microsoft.Storage/checkNameAvailability/read", storage.account_check,
         "storagerp/storage-accounts/check-name-availability"),
        ("GET", ACCOUNT, f"{ACCOUNTS}/read", storage.account_get, "storagerp/storage-accounts/get-properties"),
        ("PUT", ACCOUNT, f"{ACCOUNTS}/write", storage.account_put, "storagerp/storage-accounts/create"),
        ("PATCH", ACCOUNT, f"{ACCOUNTS}/write", storage.account_patch, "storagerp/storage-accounts/update"),
        ("DELETE", ACCOUNT, f"{ACCOUNTS}/delete", storage.account_delete, "storagerp/storage-accounts/delete"),
        ("GET", SERVICE, f"{ACCOUNTS}/blobServices/read", storage.service_get,
         "storagerp/blob-services/get-service-properties"),
        ("PUT", SERVICE, f"{ACCOUNTS}/blobServices/write", storage.service_put,
         "storagerp/blob-services/set-service-properties"),
        ("GET", f"{SERVICE}/containers", f"{ACCOUNTS}/blobServices/containers/read", storage.container_list,
         "storagerp/blob-containers/list"),
        ("GET", CONTAINER, f"{ACCOUNTS}/blobServices/containers/read", storage.container_get,
         "storagerp/blob-containers/get"),
        ("PUT", CONTAINER, f"{ACCOUNTS}/blobServices/containers/write", storage.container_put,
         "storagerp/blob-containers/create"),
        ("PATCH", CONTAINER, f"{ACCOUNTS}/blobServices/containers/write", storage.container_patch,
         "storagerp/blob-containers/update"),
        ("DELETE", CONTAINER, f"{ACCOUNTS}/blobServices/containers/delete", storage.container_delete,
         "storagerp/blob-containers/delete"),
        ("GET", f"{ACCOUNT}/fileservices/default/shares", f"{ACCOUNTS}/fileServices/shares/read", storage.other_list,
         "storagerp/file-shares/list"),
        ("GET", f"{ACCOUNT}/queueservices/default/queues", f"{ACCOUNTS}/queueServices/queues/read",
         storage.other_list, "storagerp/queue/list"),
        ("GET", f"{ACCOUNT}/tableservices/default/tables", f"{ACCOUNTS}/tableServices/tables/read",
         storage.other_list, "storagerp/table/list"),
        ("GET", "/subscriptions/([^/]+)/operationresults/([^/]+)", "poll", arm.poll,
         "../../azure/azure-resource-manager/management/async-operations"),
    ),
    *_routes(
        "2023-01-31",
        ("GET", USER, f"{IDENTITIES}/read", identity.identity_get, "managedidentity/user-assigned-identities/get"),
        ("PUT", USER, f"{IDENTITIES}/write", identity.identity_put,
         "managedidentity/user-assigned-identities/create-or-update"),
        ("PATCH", USER, f"{IDENTITIES}/write", identity.identity_patch,
         "managedidentity/user-assigned-identities/update"),
        ("DELETE", USER, f"{IDENTITIES}/delete", identity.identity_delete,
         "managedidentity/user-assigned-identities/delete"),
        ("GET", CREDENTIAL, f"{IDENTITIES}/federatedIdentityCredentials/read", identity.credential_get,
         "managedidentity/federated-identity-credentials/get"),
        ("GET", f"{USER}/federatedidentitycredentials", f"{IDENTITIES}/federatedIdentityCredentials/read",
         identity.credential_list, "managedidentity/federated-identity-credentials/list"),
        ("DELETE", CREDENTIAL, f"{IDENTITIES}/federatedIdentityCredentials/delete", identity.credential_delete,
         "managedidentity/federated-identity-credentials/delete"),
        ("PUT", CREDENTIAL, f"{IDENTITIES}/federatedIdentityCredentials/write", identity.credential_put,
         "managedidentity/federated-identity-credentials/create-or-update"),
    ),
    # Those that the clients of azure.azcollection ask for.
    *_routes(
        "2022-09-01",
        ("GET", GROUP, f"{RESOURCES}/read", arm.group_get, "resources/resource-groups/get"),
    ),
    *_routes(
        "2020-04-01-preview",
        ("GET", ASSIGNMENTS, f"{ROLES}/read", identity.assignment_list,
         "authorization/role-assignments/list-for-scope"),
    ),
    *_routes(
        "2019-04-01",
        ("GET", "/subscriptions/([^/]+)/providers/microsoft.containerservice/locations/([^/]+)/orchestrators",
         "Microsoft.ContainerService/locations/orchestrators/read", containers.orchestrator_list,
         "aks/container-services/list-orchestrators"),
    ),
    *_routes(
        "2022-04-01",
        ("GET", ASSIGNMENTS, f"{ROLES}/read", identity.assignment_list,
         "authorization/role-assignments/list-for-scope"),
        ("GET", ASSIGNMENT, f"{ROLES}/read", identity.assignment_get, "authorization/role-assignments/get"),
        ("PUT", ASSIGNMENT, f"{ROLES}/write", identity.assignment_put, "authorization/role-assignments/create"),
        ("DELETE", ASSIGNMENT, f"{ROLES}/delete", identity.assignment_delete,
         "authorization/role-assignments/delete"),
    ),
]  # fmt: skip


def find(request: Request) -> tuple[Route, tuple[str, ...]] | None:
    """Return who answers a call, and the names in its path."""
    for route in ROUTES:
        matched = re.fullmatch(route.path, request.path.lower())
        if route.method == request.method and matched and request.query.get("api-version", "") == route.version:
            return route, matched.groups()
    return None
