"""Storage accounts, their blob service and containers, and what else an account may hold.

https://learn.microsoft.com/rest/api/storagerp
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from ..http import Request, Response, answer
from .arm import Arm, Refused, known, placed, tagged

ACCOUNTS = "Microsoft.Storage/storageAccounts"
OPEN = {
    "resourceAccessRules": [], "bypass": "AzureServices", "virtualNetworkRules": [], "ipRules": [],
    "defaultAction": "Allow",
}  # fmt: skip
# Account properties that are simulated, of those that a client may write.
WRITABLE = {
    "minimumTlsVersion", "allowBlobPublicAccess", "allowSharedKeyAccess", "supportsHttpsTrafficOnly", "networkAcls"
}  # fmt: skip
# https://learn.microsoft.com/azure/storage/common/redundancy-migration: the others are conversions that take days.
SKUS = {"Standard_LRS": 0, "Standard_GRS": 0, "Standard_RAGRS": 0, "Standard_ZRS": 1, "Standard_GZRS": 2,
        "Standard_RAGZRS": 2}  # fmt: skip
# https://learn.microsoft.com/rest/api/storagerp/blob-services/set-service-properties
SERVICE_PROPERTIES = {
    "cors", "defaultServiceVersion", "deleteRetentionPolicy", "isVersioningEnabled", "automaticSnapshotPolicyEnabled",
    "changeFeed", "restorePolicy", "containerDeleteRetentionPolicy", "lastAccessTimeTrackingPolicy",
}  # fmt: skip
PRIVATE = [ipaddress.IPv4Network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
SUBNET = re.compile(
    r"/subscriptions/[^/]+/resourcegroups/[^/]+/providers/microsoft.network/virtualnetworks/[^/]+/subnets/[^/]+"
)
JOIN = "Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action"


def account_check(arm: Arm, request: Request, *_: str) -> Any:
    body = known(request.json(), {"name", "type"}, {"name", "type"})
    if not re.fullmatch("[a-z0-9]{3,24}", body["name"]):
        said = f"{body['name']} is not a valid storage account name."
        return {"nameAvailable": False, "reason": "AccountNameInvalid", "message": said}
    if body["name"] in arm.names:
        taken = f"The storage account named {body['name']} is already taken."
        return {"nameAvailable": False, "reason": "AlreadyExists", "message": taken}
    return {"nameAvailable": True}


def account_get(arm: Arm, request: Request, *_: str) -> Any:
    return arm.get(request)


def account_put(arm: Arm, request: Request, _: str, __: str, name: str) -> Any:
    """One that exists is updated; one that is being made is there after a few looks, whoever looks."""
    fields = {"location", "tags", "properties", "sku", "kind"}
    body = known(request.json(), fields, {"location", "sku", "kind"})
    location, path = placed(body), request.path.lower()
    if not re.fullmatch("[a-z0-9]{3,24}", name):
        raise Refused(400, "AccountNameInvalid", f"{name} is not a valid storage account name.")
    arm.group(path)
    registered(arm, "Microsoft.Storage")
    _check(arm, request, body)
    if path in arm.resources:
        if arm.hidden.get(path, 0) > 0:
            raise Refused(409, "StorageAccountOperationInProgress", "An operation is in progress on this account.")
        if arm.resources[path]["location"] != location:
            said = f"The resource '{name}' already exists in location '{arm.resources[path]['location']}'."
            raise Refused(409, "InvalidResourceLocation", said)
        return _update(arm, request, body)
    if name in arm.names:
        raise Refused(409, "StorageAccountAlreadyTaken", f"The storage account named {name} is already taken.")
    # What an account has that says nothing: https://learn.microsoft.com/rest/api/storagerp/storage-accounts/create
    defaults = {
        "networkAcls": OPEN, "supportsHttpsTrafficOnly": True, "minimumTlsVersion": "TLS1_0",
        "allowBlobPublicAccess": False, "accessTier": "Hot", "provisioningState": "Succeeded",
        "primaryLocation": location, "statusOfPrimary": "available",
        "primaryEndpoints": {"blob": f"https://{name}{arm.hosts.blobs}/"},
    }  # fmt: skip
    made = arm.put(request, ACCOUNTS, {
        "kind": body["kind"], "location": location, "tags": tagged({}, body.get("tags", {})),
        "sku": {"name": body["sku"]["name"], "tier": "Standard"}, "properties": defaults,
    })  # fmt: skip
    _apply(made["properties"], body.get("properties", {}))
    arm.names.add(name)
    arm.hidden[path] = 3
    service = {"sku": made["sku"], "properties": {"cors": {"corsRules": []}, "deleteRetentionPolicy": {
        "allowPermanentDelete": False, "enabled": False}}}  # fmt: skip
    arm.resources[f"{path}/blobservices/default"] = {
        "id": f"{request.path}/blobServices/default", "name": "default", "type": f"{ACCOUNTS}/blobServices", **service
    }  # fmt: skip

    def end() -> Response:
        arm.hidden.pop(path, None)
        return answer(200, arm.resources[path])

    if arm.fails is not None:
        arm.remove(path)
        arm.names.discard(name)
    return arm.later(request, end)


def account_patch(arm: Arm, request: Request, *_: str) -> Any:
    body = known(request.json(), {"tags", "properties", "sku"})
    _check(arm, request, body)
    arm.get(request)
    return _update(arm, request, body)


def account_delete(arm: Arm, request: Request, _: str, __: str, name: str) -> Any:
    if request.path.lower() not in arm.resources:
        return Response(204)
    arm.remove(request.path.lower())
    arm.names.discard(name)
    return Response(200)


def service_get(arm: Arm, request: Request, *_: str) -> Any:
    return arm.get(request)


def service_put(arm: Arm, request: Request, *_: str) -> Any:
    """Replaces the whole: what the body leaves out is off."""
    properties = known(known(request.json(), {"properties"})["properties"], SERVICE_PROPERTIES)
    for name in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
        policy = known(properties.get(name, {}), {"enabled", "days", "allowPermanentDelete"})
        if policy.get("enabled") and not 1 <= policy.get("days", 0) <= 365:
            raise Refused(400, "InvalidXmlNodeValue", f"{name}.days is not between 1 and 365.")
    known(properties.get("restorePolicy", {}), {"enabled", "days"})
    service = arm.get(request)
    service["properties"] = {"cors": {"corsRules": []}, **properties}
    return service


def container_list(arm: Arm, request: Request, *_: str) -> Any:
    return _listed(arm, request, "$include")


def container_get(arm: Arm, request: Request, *_: str) -> Any:
    _account_of(arm, request)
    return arm.get(request, "ContainerNotFound")


def container_put(arm: Arm, request: Request, *_: str) -> Any:
    properties = known(known(request.json(), {"properties"}).get("properties", {}), {"publicAccess", "metadata"})
    account, path = _account_of(arm, request), request.path.lower()
    if arm.deleting.get(path, 0) > 0:
        arm.deleting[path] -= 1
        raise Refused(409, "ContainerBeingDeleted", "The specified container is being deleted. Try operation later.")
    _check_access(account, properties)
    old = arm.resources.get(path)
    # The answer has no properties: https://learn.microsoft.com/rest/api/storagerp/blob-containers/create
    defaults = {
        "publicAccess": "None", "leaseStatus": "Unlocked", "leaseState": "Available", "deleted": False,
        "defaultEncryptionScope": "$account-encryption-key", "hasLegalHold": False, "hasImmutabilityPolicy": False,
    }  # fmt: skip
    kept = old["properties"] if old else defaults
    made = arm.put(request, f"{ACCOUNTS}/blobServices/containers", {"properties": {**kept, **properties}})
    return answer(200 if old else 201, {key: made[key] for key in ("id", "name", "type")})


def container_patch(arm: Arm, request: Request, *_: str) -> Any:
    properties = known(known(request.json(), {"properties"})["properties"], {"publicAccess", "metadata"})
    _check_access(_account_of(arm, request), properties)
    arm.get(request, "ContainerNotFound")["properties"].update(properties)
    return arm.get(request)


def container_delete(arm: Arm, request: Request, *_: str) -> Any:
    """Its name cannot be used again at once.

    https://learn.microsoft.com/rest/api/storageservices/delete-container#remarks
    """
    _account_of(arm, request)
    container = arm.resources.get(request.path.lower())
    if container is None:
        return Response(204)
    # https://learn.microsoft.com/azure/storage/blobs/immutable-container-level-wormpolicies
    if any(container["properties"].get(each) for each in ("hasLegalHold", "hasImmutabilityPolicy")):
        raise Refused(409, "ContainerProtectedFromDeletion", "The container is protected from deletion.")
    arm.remove(request.path.lower())
    arm.deleting[request.path.lower()] = 2
    return Response(200)


def other_list(arm: Arm, request: Request, *_: str) -> Any:
    """List file shares, queues or tables.

    https://learn.microsoft.com/rest/api/storagerp/file-shares/list, /queue/list and /table/list
    """
    return _listed(arm, request, "$expand" if request.path.lower().endswith("/shares") else "")


def registered(arm: Arm, namespace: str) -> None:
    """https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-register-resource-provider"""
    if namespace in arm.unregistered:
        said = f"The subscription is not registered to use namespace '{namespace}'. See https://aka.ms/rps-not-found."
        raise Refused(409, "MissingSubscriptionRegistration", said)


def _listed(arm: Arm, request: Request, more: str) -> Any:
    """List children; the query `more` set to "deleted" also lists what can be brought back."""
    _account_of(arm, request)
    known(dict(request.query), {"api-version", "$skiptoken", *([more] if more else [])})
    deleted = bool(more) and request.query.get(more) == "deleted"
    found = [
        each for each in arm.within(request.path.lower())
        if deleted or not each.get("properties", {}).get("deleted")
    ]  # fmt: skip
    return arm.paged(request, found)


def _account_of(arm: Arm, request: Request) -> dict[str, Any]:
    return arm.parent(request, re.split("/(blob|file|queue|table)services", request.path.lower())[0])


def _check(arm: Arm, request: Request, body: dict[str, Any]) -> None:
    """Refuse before anything is changed."""
    properties = known(body.get("properties", {}), WRITABLE)
    old = arm.resources.get(request.path.lower(), {})
    if "sku" in body:
        known(body["sku"], {"name"}, {"name"})
        sku, was = body["sku"]["name"], old.get("sku", body["sku"])["name"]
        if sku not in SKUS or SKUS[sku] != SKUS[was]:
            raise Refused(400, "InvalidValuesForRequestParameters", "Values for request parameters are invalid: sku.")
    if properties.get("minimumTlsVersion", "TLS1_2") not in ("TLS1_0", "TLS1_1", "TLS1_2", "TLS1_3"):
        raise Refused(400, "InvalidValuesForRequestParameters", "Values are invalid: minimumTlsVersion.")
    if "networkAcls" in properties:
        _check_network(arm, request, properties["networkAcls"])
    tagged(old.get("tags", {}), body.get("tags", {}))


def _check_network(arm: Arm, request: Request, rules: dict[str, Any]) -> None:
    """https://learn.microsoft.com/azure/storage/common/storage-network-security-ip-address-range"""
    known(rules, set(OPEN), {"defaultAction"})
    for rule in rules.get("ipRules", []):
        known(rule, {"value", "action"}, {"value"})
        try:
            network = ipaddress.IPv4Network(rule["value"])
        except ValueError:
            network = None
        single = "/" not in rule["value"]
        if network is None or any(map(network.overlaps, PRIVATE)) or (network.prefixlen > 30 and not single):
            said = "Values for request parameters are invalid: networkAcls.ipRules[*].value."
            raise Refused(400, "InvalidValuesForRequestParameters", said)
    for rule in rules.get("virtualNetworkRules", []):
        known(rule, {"id", "action", "state"}, {"id"})
        if not SUBNET.fullmatch(rule["id"].lower()):
            said = "Values for request parameters are invalid: networkAcls.virtualNetworkRules[*].id."
            raise Refused(400, "InvalidValuesForRequestParameters", said)
        # https://learn.microsoft.com/azure/role-based-access-control/troubleshooting
        if JOIN in arm.linked_denied:
            said = (
                f"The client has permission to perform action '{ACCOUNTS}/write' on scope '{request.path}'; however, "
                f"it does not have permission to perform action '{JOIN}' on the linked scope(s) '{rule['id']}'."
            )
            raise Refused(403, "LinkedAuthorizationFailed", said)


def _check_access(account: dict[str, Any], properties: dict[str, Any]) -> None:
    if properties.get("publicAccess", "None") != "None" and not account["properties"].get("allowBlobPublicAccess"):
        raise Refused(409, "PublicAccessNotPermitted", "Public access is not permitted on this storage account.")


def _apply(properties: dict[str, Any], changed: dict[str, Any]) -> None:
    properties.update(changed)
    if "networkAcls" in changed:
        rules = changed["networkAcls"]
        subnets = [{"action": "Allow", "state": "Succeeded", **rule} for rule in rules.get("virtualNetworkRules", [])]
        addresses = [{"action": "Allow", **rule} for rule in rules.get("ipRules", [])]
        properties["networkAcls"] = {**OPEN, **rules, "virtualNetworkRules": subnets, "ipRules": addresses}


def _update(arm: Arm, request: Request, body: dict[str, Any]) -> dict[str, Any]:
    account = arm.resources[request.path.lower()]
    if "tags" in body:
        account["tags"] = tagged(account.get("tags", {}), body["tags"])
    if "sku" in body:
        account["sku"] = {"name": body["sku"]["name"], "tier": "Standard"}
    _apply(account["properties"], body.get("properties", {}))
    return account
