"""Azure: the Resource Manager's groups, storage accounts, identities and role assignments, and the token endpoint.

What it does not know (a path, an api-version, a field of a body) it refuses with 501, which fails the test. Errors have
the envelope of https://learn.microsoft.com/azure/azure-resource-manager/management/common-error-codes, long operations
follow https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .http import Request, Response, answer
from .proxy import Cloud, Proxy

HOSTS = ("management.azure.com", "login.microsoftonline.com")
TENANT = "11111111-1111-1111-1111-111111111111"
TOKEN = "a-token"
LOCATIONS = {"westeurope", "eastus"}
GROUP = r"/subscriptions/([^/]+)/resourcegroups/([^/]+)"
STORAGE, IDENTITY, AUTHORIZATION = "microsoft.storage", "microsoft.managedidentity", "microsoft.authorization"
ACCOUNT = rf"{GROUP}/providers/{STORAGE}/storageaccounts/([^/]+)"
SERVICE = rf"{ACCOUNT}/blobservices/default"
USER = rf"{GROUP}/providers/{IDENTITY}/userassignedidentities/([^/]+)"
ASSIGNMENT = rf"(/subscriptions/.+)/providers/{AUTHORIZATION}/roleassignments"
RESOURCES = "Microsoft.Resources/subscriptions/resourceGroups"
ACCOUNTS = "Microsoft.Storage/storageAccounts"
IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
# https://learn.microsoft.com/rest/api/{resources,storagerp,managedidentity,authorization} and
# https://learn.microsoft.com/azure/role-based-access-control/resource-provider-operations
ROUTES: list[tuple[str, str, str, str, str]] = [
    ("GET", GROUP, "2024-03-01", f"{RESOURCES}/read", "group_get"),
    ("PUT", GROUP, "2024-03-01", f"{RESOURCES}/write", "group_put"),
    ("DELETE", GROUP, "2024-03-01", f"{RESOURCES}/delete", "group_delete"),
    ("GET", f"{GROUP}/resources", "2024-03-01", f"{RESOURCES}/read", "group_list"),
    ("POST", f"/subscriptions/([^/]+)/providers/{STORAGE}/checknameavailability", "2023-05-01",
     "Microsoft.Storage/checkNameAvailability/read", "account_check"),
    ("GET", ACCOUNT, "2023-05-01", f"{ACCOUNTS}/read", "account_get"),
    ("PUT", ACCOUNT, "2023-05-01", f"{ACCOUNTS}/write", "account_put"),
    ("PATCH", ACCOUNT, "2023-05-01", f"{ACCOUNTS}/write", "account_patch"),
    ("DELETE", ACCOUNT, "2023-05-01", f"{ACCOUNTS}/delete", "account_delete"),
    ("GET", SERVICE, "2023-05-01", f"{ACCOUNTS}/blobServices/read", "service_get"),
    ("PUT", SERVICE, "2023-05-01", f"{ACCOUNTS}/blobServices/write", "service_put"),
    ("GET", f"{SERVICE}/containers", "2023-05-01", f"{ACCOUNTS}/blobServices/containers/read", "container_list"),
    ("GET", f"{SERVICE}/containers/([^/]+)", "2023-05-01", f"{ACCOUNTS}/blobServices/containers/read", "container_get"),
    ("PUT", f"{SERVICE}/containers/([^/]+)", "2023-05-01", f"{ACCOUNTS}/blobServices/containers/write",
     "container_put"),
    ("PATCH", f"{SERVICE}/containers/([^/]+)", "2023-05-01", f"{ACCOUNTS}/blobServices/containers/write",
     "container_patch"),
    ("DELETE", f"{SERVICE}/containers/([^/]+)", "2023-05-01", f"{ACCOUNTS}/blobServices/containers/delete",
     "container_delete"),
    ("GET", USER, "2023-01-31", f"{IDENTITIES}/read", "identity_get"),
    ("PUT", USER, "2023-01-31", f"{IDENTITIES}/write", "identity_put"),
    ("PATCH", USER, "2023-01-31", f"{IDENTITIES}/write", "identity_patch"),
    ("DELETE", USER, "2023-01-31", f"{IDENTITIES}/delete", "identity_delete"),
    ("GET", f"{USER}/federatedidentitycredentials/([^/]+)", "2023-01-31",
     f"{IDENTITIES}/federatedIdentityCredentials/read", "credential_get"),
    ("PUT", f"{USER}/federatedidentitycredentials/([^/]+)", "2023-01-31",
     f"{IDENTITIES}/federatedIdentityCredentials/write", "credential_put"),
    ("GET", ASSIGNMENT, "2022-04-01", "Microsoft.Authorization/roleAssignments/read", "assignment_list"),
    ("GET", f"{ASSIGNMENT}/([^/]+)", "2022-04-01", "Microsoft.Authorization/roleAssignments/read", "assignment_get"),
    ("PUT", f"{ASSIGNMENT}/([^/]+)", "2022-04-01", "Microsoft.Authorization/roleAssignments/write", "assignment_put"),
    ("DELETE", f"{ASSIGNMENT}/([^/]+)", "2022-04-01", "Microsoft.Authorization/roleAssignments/delete",
     "assignment_delete"),
    ("GET", "/operations/([^/]+)", "", "poll", "poll"),
]  # fmt: skip
TOP = {"location", "tags", "properties", "sku", "kind", "identity"}
ACCOUNT_PROPERTIES = {
    "minimumTlsVersion", "allowBlobPublicAccess", "allowSharedKeyAccess", "supportsHttpsTrafficOnly", "networkAcls"
}  # fmt: skip


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        self.response = answer(status, {"error": {"code": code, "message": message}})
        super().__init__(message)


@dataclass
class Arm:
    """One subscription, by lower-case resource ids. For `lag` calls a new principal is unknown to role assignments."""

    subscription: str
    lag: int = 0
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)  # of accounts, in the whole world
    unknown_for: dict[str, int] = field(default_factory=dict)
    operations: dict[str, list[Response]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Response:
        if request.host == "login.microsoftonline.com":
            return login(request)
        route = find(request)
        if route is None:
            return answer(501, {"error": {"code": "NotSimulated", "message": f"{request.method} {request.target}"}})
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return answer(401, {"error": {"code": "InvalidAuthenticationToken", "message": "The token is invalid."}})
        _, handler, names = route
        if handler != "poll" and f"/subscriptions/{self.subscription}/" not in f"{request.path.lower()}/":
            missing = f"The subscription '{names[0]}' could not be found."
            return answer(404, {"error": {"code": "SubscriptionNotFound", "message": missing}})
        try:
            with self._lock:
                result = getattr(self, handler)(request, *names)
        except Refused as refused:
            return refused.response
        return result if isinstance(result, Response) else answer(200, result)

    def _get(self, request: Request, code: str = "ResourceNotFound") -> dict[str, Any]:
        path = request.path.lower()
        self._group(path)
        if path not in self.resources:
            raise Refused(404, code, f"The Resource '{request.path}' was not found.")
        return self.resources[path]

    def _group(self, path: str) -> None:
        group = re.match(GROUP, path)
        if group and group.group() not in self.resources:
            raise Refused(404, "ResourceGroupNotFound", f"Resource group '{group[2]}' could not be found.")

    def _put(self, request: Request, resource: dict[str, Any]) -> dict[str, Any]:
        self._group(request.path.lower())
        self.resources[request.path.lower()] = {"id": request.path, "name": request.path.rpartition("/")[2], **resource}
        return self.resources[request.path.lower()]

    def _remove(self, path: str) -> None:
        for each in [each for each in self.resources if each == path or each.startswith(f"{path}/")]:
            del self.resources[each]

    def _later(self, request: Request, final: Response) -> Response:
        """Answer 202; the operation ends at the second look."""
        operation = uuid.uuid4().hex
        self.operations[operation] = [Response(202, b"", {"Retry-After": "1"}), final]
        address = f"https://{request.host}/operations/{operation}"
        return Response(202, b"", {"Location": address, "Retry-After": "1"})

    def poll(self, _: Request, operation: str) -> Response:
        waiting = self.operations[operation]
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    def group_get(self, request: Request, *_: str) -> Any:
        return self._get(request)

    def group_put(self, request: Request, *_: str) -> Any:
        body = known(request.json(), {"location", "tags"})
        place(body)
        self.resources[request.path.lower()] = {"id": request.path, **body}
        return answer(201, self.resources[request.path.lower()])

    def group_delete(self, request: Request, *_: str) -> Any:
        self._get(request)
        self._remove(request.path.lower())
        return self._later(request, Response(200))

    def group_list(self, request: Request, *_: str) -> Any:
        group = request.path.lower().removesuffix("/resources")
        self._group(group)
        tops = [
            each for path, each in self.resources.items() if re.fullmatch(rf"{GROUP}/providers/[^/]+/[^/]+/[^/]+", path)
        ]
        return {"value": [each for each in tops if each["id"].lower().startswith(f"{group}/")]}

    def account_check(self, request: Request, *_: str) -> Any:
        body = known(request.json(), {"name", "type"})
        if body["name"] in self.names:
            taken = f"The storage account named {body['name']} is already taken."
            return {"nameAvailable": False, "reason": "AlreadyExists", "message": taken}
        return {"nameAvailable": True}

    def account_get(self, request: Request, *_: str) -> Any:
        return self._get(request)

    def account_put(self, request: Request, _: str, __: str, name: str) -> Any:
        body = known(request.json(), TOP)
        known(body["properties"], ACCOUNT_PROPERTIES)
        place(body)
        if not re.fullmatch("[a-z0-9]{3,24}", name):
            raise Refused(400, "AccountNameInvalid", f"{name} is not a valid storage account name.")
        if request.path.lower() in self.resources or name in self.names:
            raise Refused(409, "StorageAccountAlreadyTaken", f"The storage account named {name} is already taken.")
        defaults = {"minimumTlsVersion": "TLS1_0", "allowBlobPublicAccess": False, "supportsHttpsTrafficOnly": True}
        made = self._put(request, {**body, "properties": {"networkAcls": OPEN, **defaults, **body["properties"]}})
        self.names.add(name)
        self.resources[f"{request.path.lower()}/blobservices/default"] = {"properties": {"cors": {"corsRules": []}}}
        return self._later(request, answer(200, made))

    def account_patch(self, request: Request, *_: str) -> Any:
        body = known(request.json(), {"tags", "properties", "sku"})
        known(body.get("properties", {}), ACCOUNT_PROPERTIES)
        account = self._get(request)
        account.update({key: body[key] for key in ("tags", "sku") if key in body})
        account["properties"].update(body.get("properties", {}))
        return account

    def account_delete(self, request: Request, _: str, __: str, name: str) -> Any:
        if request.path.lower() not in self.resources:
            return Response(204)
        self._remove(request.path.lower())
        self.names.discard(name)
        return Response(200)

    def service_get(self, request: Request, *_: str) -> Any:
        return self._get(request)

    def service_put(self, request: Request, *_: str) -> Any:
        """Replaces the whole."""
        body = known(request.json(), {"properties"})
        self._get(request)
        return self._put(request, body)

    def container_list(self, request: Request, *_: str) -> Any:
        child = re.escape(request.path.lower()) + "/[^/]+"
        return {"value": [each for path, each in self.resources.items() if re.fullmatch(child, path)]}

    def container_get(self, request: Request, *_: str) -> Any:
        self._account_of(request)
        return self._get(request, "ContainerNotFound")

    def container_put(self, request: Request, *_: str) -> Any:
        body = known(request.json(), {"properties"})
        known(body["properties"], {"publicAccess"})
        self._account_of(request)
        return answer(201, self._put(request, body))

    def container_patch(self, request: Request, *_: str) -> Any:
        self._get(request, "ContainerNotFound")["properties"].update(
            known(request.json(), {"properties"})["properties"]
        )
        return self._get(request)

    def container_delete(self, request: Request, *_: str) -> Any:
        self._get(request, "ContainerNotFound")
        self._remove(request.path.lower())
        return Response(200)

    def _account_of(self, request: Request) -> None:
        account = request.path.lower().partition("/blobservices")[0]
        if account not in self.resources:
            raise Refused(404, "ResourceNotFound", f"The Resource '{account}' was not found.")

    def identity_get(self, request: Request, *_: str) -> Any:
        return self._get(request)

    def identity_put(self, request: Request, *_: str) -> Any:
        body = known(request.json(), {"location", "tags"})
        place(body)
        old = self.resources.get(request.path.lower())
        ids = old["properties"] if old else {"clientId": str(uuid.uuid4()), "principalId": str(uuid.uuid4())}
        self.unknown_for.setdefault(ids["principalId"], self.lag)
        return answer(200 if old else 201, self._put(request, {**body, "properties": ids}))

    def identity_patch(self, request: Request, *_: str) -> Any:
        self._get(request).update(known(request.json(), {"tags"}))
        return self._get(request)

    def identity_delete(self, request: Request, *_: str) -> Any:
        if request.path.lower() not in self.resources:
            return Response(204)
        self._remove(request.path.lower())
        return Response(200)

    def credential_get(self, request: Request, *_: str) -> Any:
        return self._get(request, "NotFound")

    def credential_put(self, request: Request, *_: str) -> Any:
        body = known(request.json(), {"properties"})
        properties = known(body["properties"], {"issuer", "subject", "audiences"})
        identity = request.path.lower().partition("/federatedidentitycredentials")[0]
        if identity not in self.resources:
            raise Refused(404, "ParentResourceNotFound", f"The parent '{identity}' was not found.")
        if not properties["issuer"].startswith("https://") or len(properties["audiences"]) != 1:
            raise Refused(400, "BadRequest", "The issuer must be an https URL, with one audience.")
        return answer(201, self._put(request, body))

    def assignment_list(self, request: Request, scope: str) -> Any:
        principal = re.fullmatch("principalId eq '([^']+)'", request.query["$filter"])
        assert principal
        return {
            "value": [
                each
                for path, each in self.resources.items()
                if f"{AUTHORIZATION}/roleassignments/" in path
                and path.startswith(scope)
                and each["properties"]["principalId"] == principal[1]
            ]
        }

    def assignment_get(self, request: Request, *_: str) -> Any:
        return self._get(request, "RoleAssignmentNotFound")

    def assignment_put(self, request: Request, scope: str, name: str) -> Any:
        body = known(request.json(), {"properties"})
        properties = known(body["properties"], {"roleDefinitionId", "principalId", "principalType"})
        uuid.UUID(name)
        principal = properties["principalId"]
        exists = any(each.get("properties", {}).get("principalId") == principal for each in self.resources.values())
        if not exists or self.unknown_for.get(principal, 0) > 0:
            self.unknown_for[principal] = self.unknown_for.get(principal, 0) - 1
            raise Refused(400, "PrincipalNotFound", f"Principal {principal} does not exist in the directory.")
        if scope not in self.resources:
            raise Refused(404, "ResourceNotFound", f"The scope '{scope}' was not found.")
        if request.path.lower() in self.resources:
            if self.resources[request.path.lower()]["properties"]["principalId"] != principal:
                raise Refused(400, "RoleAssignmentUpdateNotPermitted", "Tenant ID, principal, scope cannot be updated.")
            return self.resources[request.path.lower()]
        same = [
            each
            for path, each in self.resources.items()
            if path.startswith(f"{scope}/providers/{AUTHORIZATION}/roleassignments/")
            and each["properties"]["principalId"] == principal
        ]
        if same:
            raise Refused(409, "RoleAssignmentExists", "The role assignment already exists.")
        return answer(201, self._put(request, {"properties": {**properties, "scope": scope}}))

    def assignment_delete(self, request: Request, *_: str) -> Any:
        if request.path.lower() not in self.resources:
            return Response(204)
        self._remove(request.path.lower())
        return Response(200)


OPEN = {"defaultAction": "Allow", "bypass": "AzureServices", "ipRules": [], "virtualNetworkRules": []}


def known(body: dict[str, Any], fields: set[str]) -> dict[str, Any]:
    """Refuse fields that the reference does not have, or that are not simulated."""
    if set(body) - fields:
        raise Refused(501, "NotSimulated", f"fields {sorted(set(body) - fields)}")
    return body


def place(body: dict[str, Any]) -> None:
    if body["location"] not in LOCATIONS:
        said = f"The provided location '{body['location']}' is not available for resource type."
        raise Refused(400, "LocationNotAvailableForResourceType", said)


def login(request: Request) -> Response:
    """https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow"""
    base = f"https://{request.host}"
    if request.path.endswith("/openid-configuration"):
        tenant = request.path.split("/")[1]
        return answer(200, {
            "token_endpoint": f"{base}/{tenant}/oauth2/v2.0/token",
            "authorization_endpoint": f"{base}/{tenant}/oauth2/v2.0/authorize",
            "issuer": f"{base}/{tenant}/v2.0",
        })  # fmt: skip
    if request.path.endswith("/discovery/instance"):
        hosts = {"preferred_network": request.host, "preferred_cache": request.host, "aliases": [request.host]}
        discovery = f"{base}/{TENANT}/v2.0/.well-known/openid-configuration"
        return answer(200, {"tenant_discovery_endpoint": discovery, "metadata": [hosts]})
    if request.method == "POST" and request.path.endswith("/oauth2/v2.0/token"):
        if b"client_secret=expired" in request.body:
            said = "AADSTS7000222: The provided client secret keys for app are expired."
            return answer(401, {"error": "invalid_client", "error_description": said})
        return answer(200, {"token_type": "Bearer", "expires_in": 3600, "access_token": TOKEN})
    return answer(501, {"error": f"not simulated: {request.target}"})


def find(request: Request) -> tuple[str, str, tuple[str, ...]] | None:
    """Return the permission that a call needs, who answers it, and the names in its path."""
    for method, pattern, version, action, handler in ROUTES:
        matched = re.fullmatch(pattern, request.path.lower())
        if method == request.method and matched and request.query.get("api-version", "") == version:
            return action, handler, matched.groups()
    return None


def name(request: Request) -> tuple[str, bool]:
    if request.host == "login.microsoftonline.com":
        return "token", False
    found = find(request)
    if found is None:
        return f"unknown:{request.method} {request.target}", True
    return found[0], not found[0].endswith("/read") and found[0] != "poll"


@contextmanager
def serve(folder: Path, subscription: str, port: int = 0) -> Iterator[tuple[Proxy, Arm]]:
    arm = Arm(subscription)
    with Proxy(Cloud(HOSTS, arm, name), folder, port) as proxy:
        yield proxy, arm


def environment(proxy: Proxy, secret: str = "testing") -> dict[str, str]:
    """Return what makes unmodified clients of Azure talk to the simulator."""
    return {
        "HTTPS_PROXY": proxy.url,
        "NO_PROXY": "127.0.0.1,localhost",
        "REQUESTS_CA_BUNDLE": str(proxy.authority.bundle),
        "ARM_TENANT_ID": TENANT,
        "ARM_CLIENT_ID": "22222222-2222-2222-2222-222222222222",
        "ARM_CLIENT_SECRET": secret,
    }


def snapshot(arm: Arm, prefix: str) -> Any:
    """Return all resources under an id, comparable by ==."""
    return json.loads(json.dumps({path: each for path, each in arm.resources.items() if path.startswith(prefix)}))
