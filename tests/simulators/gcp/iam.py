"""IAM's service accounts and their policies, and the Resource Manager's projects.

https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts
"""

from __future__ import annotations

import re
import time
from typing import Any

from ..http import Request
from .errors import Refused, denied, known, query
from .policies import Policy
from .state import Google

WRITABLE = {"displayName", "description"}


def account_create(google: Google, request: Request, project: str) -> Any:
    body = known(request.json(), {"accountId", "serviceAccount"}, {"accountId"})
    _check(body.get("serviceAccount", {}))
    _project(google, project, "iam.serviceAccounts.create")
    if not re.fullmatch(r"[a-z]([-a-z0-9]{4,28})[a-z0-9]", body["accountId"]):
        raise Refused(400, "The account ID does not have a length between 6 and 30, or is not valid.")
    email = f"{body['accountId']}@{project}.iam.gserviceaccount.com"
    if email in google.accounts:
        said = f"Service account {body['accountId']} already exists within project projects/{project}."
        raise Refused(409, said, "alreadyExists")
    google.serial += 1
    google.accounts[email] = {
        "name": f"projects/{project}/serviceAccounts/{email}", "projectId": project, "email": email, "etag": "MDE=",
        "uniqueId": str(google.serial), "oauth2ClientId": str(google.serial), **body.get("serviceAccount", {}),
    }  # fmt: skip
    google.policies[email] = Policy()
    google.unknown_for[email] = google.lag
    return google.accounts[email]


def account_list(google: Google, request: Request, project: str) -> Any:
    """https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts/list"""
    query(request, {"pageToken"} & set(request.query))
    _project(google, project, "iam.serviceAccounts.list")
    begin = int(request.query.get("pageToken", 0))
    end = begin + google.page
    listed: dict[str, Any] = {"accounts": list(google.accounts.values())[begin:end]}
    return listed | ({"nextPageToken": str(end)} if end < len(google.accounts) else {})


def account_get(google: Google, _: Request, project: str, email: str) -> Any:
    _project(google, project, "iam.serviceAccounts.get")
    return google.account(email)


def account_update(google: Google, request: Request, project: str, email: str) -> Any:
    body = known(request.json(), {"serviceAccount", "updateMask"}, {"serviceAccount", "updateMask"})
    _project(google, project, "iam.serviceAccounts.update")
    _check(body["serviceAccount"])
    mask = set(body["updateMask"].split(","))
    if mask - WRITABLE:
        raise Refused(400, f"Invalid update mask {body['updateMask']}.")
    account = google.account(email)
    account.update({key: body["serviceAccount"].get(key, "") for key in mask})
    return account


def key_list(google: Google, request: Request, project: str, email: str) -> Any:
    """https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts.keys/list"""
    query(request, {"keyTypes"})
    if request.query["keyTypes"] != "USER_MANAGED":
        raise Refused(501, f"not simulated: keyTypes {request.query['keyTypes']}")
    _project(google, project, "iam.serviceAccountKeys.list")
    google.account(email)
    name = f"projects/{project}/serviceAccounts/{email}/keys/"
    keys = [{"name": name + each, "keyType": "USER_MANAGED"} for each in google.service_keys.get(email, [])]
    return {"keys": keys} if keys else {}


def account_enable(google: Google, request: Request, project: str, email: str) -> Any:
    known(request.json() or {}, set())
    _project(google, project, "iam.serviceAccounts.enable")
    google.account(email).pop("disabled", None)
    return {}


def account_delete(google: Google, _: Request, project: str, email: str) -> Any:
    """A deleted account stays in the policies that named it, as its deleted twin.

    https://cloud.google.com/iam/docs/policies#handle-deleted-members
    """
    _project(google, project, "iam.serviceAccounts.delete")
    account = google.account(email)
    del google.accounts[email]
    twin = f"deleted:serviceAccount:{email}?uid={account['uniqueId']}"
    for policy in google.policies.values():
        for binding in policy.bindings:
            binding["members"] = [twin if m == f"serviceAccount:{email}" else m for m in binding["members"]]
    return {}


def policy_get(google: Google, request: Request, project: str, email: str) -> Any:
    query(request, {"options.requestedPolicyVersion"})
    _project(google, project, "iam.serviceAccounts.getIamPolicy")
    google.account(email)
    return google.policies[email].read(request.query["options.requestedPolicyVersion"])


def policy_set(google: Google, request: Request, project: str, email: str) -> Any:
    body = known(request.json(), {"policy", "updateMask"}, {"policy"})
    _project(google, project, "iam.serviceAccounts.setIamPolicy")
    google.account(email)
    google.policies[email].write(google, body["policy"], 409)
    google.since[email] = time.monotonic()
    return google.policies[email].read("3")


def project_get(google: Google, _: Request, project: str) -> Any:
    """https://cloud.google.com/resource-manager/reference/rest/v3/projects/get"""
    _project(google, project, "resourcemanager.projects.get")
    return {
        "name": f"projects/{google.number}", "projectId": project, "state": "ACTIVE", "displayName": project,
        "etag": "W/1", "createTime": "2026-01-01T00:00:00Z",
    }  # fmt: skip


def _project(google: Google, project: str, permission: str) -> None:
    if project != google.project:
        raise denied("iam.", permission, project)


def _check(account: dict[str, Any]) -> None:
    known(account, WRITABLE)
    if len(account.get("displayName", "").encode()) > 100 or len(account.get("description", "").encode()) > 256:
        raise Refused(400, "The display name or the description is too long.")
