"""The data of a storage account, for who has a token and a role.

https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory
"""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from typing import Any

from ..http import Request, Response
from .arm import DEPLOYER, Arm
from .grants import allowed
from .login import STORAGE

LIST = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"
OLDEST = "2017-11-09"  # x-ms-version from which tokens are taken
ROLE = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"


def blobs(arm: Arm, request: Request) -> Response:
    """Put Blob, Get Blob, Delete Blob and List Blobs of one container.

    https://learn.microsoft.com/rest/api/storageservices/put-blob, /get-blob, /delete-blob and /list-blobs
    """
    if refused := refusal(arm, request):
        return refused
    if is_list(request):
        return _listed(arm.resources[_container(arm, request)], request, arm.page)
    blob = request.path.strip("/").partition("/")[2]
    stored: dict[str, str] = arm.resources[_container(arm, request)].setdefault("blobs", {})
    if request.method == "PUT" and request.headers.get("X-Ms-Blob-Type") == "BlockBlob":
        stored[blob] = request.body.decode()
        return Response(201)
    if blob not in stored:
        return _error(404, "BlobNotFound")
    if request.method == "DELETE":
        del stored[blob]
        return Response(202)
    return Response(200, stored[blob].encode())


def refusal(arm: Arm, request: Request) -> Response | None:
    """Return what a caller without a right on the container is told."""
    container = _container(arm, request)
    path = container.partition("/blobservices/")[0]
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if not path:
        return _error(404, "ResourceNotFound")
    if kind == "SharedKey":
        taken = arm.resources[path]["properties"].get("allowSharedKeyAccess", True)
        return _error(403, "AuthenticationFailed" if taken else "KeyBasedAuthenticationNotPermitted")
    if kind != "Bearer":
        return _error(401, "NoAuthenticationInformation")
    who, resource = arm.tokens.get(token, ("", ""))
    if resource != STORAGE or request.headers.get("X-Ms-Version", "") < OLDEST:
        return _error(401, "InvalidAuthenticationInfo")
    if who == DEPLOYER and arm.resources[path]["properties"].get("networkAcls", {}).get("defaultAction") == "Deny":
        return _error(403, "AuthorizationFailure")  # he is on no subnet and at no address that rules name
    if who == DEPLOYER:
        granted = arm.grants is None or allowed(arm.grants, LIST, container, {})
        if not granted or not is_list(request):
            return _error(403, "AuthorizationPermissionMismatch")
    elif not _permitted(arm, who, container):
        return _error(403, "AuthorizationPermissionMismatch")
    return None if container in arm.resources else _error(404, "ContainerNotFound")


def is_list(request: Request) -> bool:
    return request.method == "GET" and request.query.get("comp") == "list"


def _listed(container: dict[str, Any], request: Request, length: int) -> Response:
    """Answer a page; what a delimiter cuts is a prefix, and what is no more is shown to those who ask for it."""
    wanted = {"restype": "container", "comp": "list", "delimiter": "/", "include": "deleted,versions"}
    query = {key: value for key, value in request.query.items() if key != "marker"}
    if query != wanted:
        return _error(501, "NotSimulated")
    names = sorted({*container.get("blobs", {}), *container.get("old blobs", [])})
    cut = sorted({name.partition("/")[0] + "/" if "/" in name else name for name in names})
    start = int(request.query.get("marker", "0"))
    root = ET.Element("EnumerationResults")
    shown = ET.SubElement(root, "Blobs")
    for name in cut[start : start + length]:
        ET.SubElement(ET.SubElement(shown, "BlobPrefix" if name.endswith("/") else "Blob"), "Name").text = name
    ET.SubElement(root, "NextMarker").text = str(start + length) if start + length < len(cut) else ""
    return Response(200, ET.tostring(root, encoding="utf-8", xml_declaration=True), {"Content-Type": "application/xml"})


def _container(arm: Arm, request: Request) -> str:
    """Return the id of the container that a call is about; without an account it begins with a slash."""
    name, container = request.host.partition(".")[0], request.path.strip("/").partition("/")[0]
    path = next((path for path in arm.resources if path.endswith(f"/storageaccounts/{name}")), "")
    return f"{path}/blobservices/default/containers/{container}"


def _permitted(arm: Arm, who: str, container: str) -> bool:
    """A role assignment takes its time: https://learn.microsoft.com/azure/role-based-access-control/troubleshooting"""
    return any(
        each["properties"]["principalId"] == who
        and each["properties"]["roleDefinitionId"].endswith(ROLE)
        and f"{container}/".startswith(f"{each['properties']['scope'].lower()}/")
        and time.monotonic() >= arm.since.get(path, 0.0) + arm.settle
        for path, each in arm.resources.items()
        if "/roleassignments/" in path
    )


def _error(status: int, code: str) -> Response:
    """https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes"""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
    return Response(status, body.encode(), {"Content-Type": "application/xml", "x-ms-error-code": code})
