"""Google Cloud: buckets, service accounts and their IAM policies, as the public references describe them.

What it does not know (a path, a method, a field of a body, a query) it refuses with 501, which fails the test.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .http import Request, Response, answer
from .proxy import Cloud, Proxy

HOSTS = ("storage.googleapis.com", "iam.googleapis.com", "cloudresourcemanager.googleapis.com", "oauth2.googleapis.com")
TOKEN = "a-token"
LOCATIONS = {"EUROPE-WEST1", "US-EAST1", "US", "EU", "ASIA"}
# https://cloud.google.com/storage/docs/json_api/v1/buckets#resource-representations
BUCKET_FIELDS = {"name", "location", "labels", "iamConfiguration", "versioning", "softDeletePolicy"}
# https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts#ServiceAccount
ACCOUNT_FIELDS = {"displayName", "description"}
# https://cloud.google.com/storage/docs/json_api/v1 and https://cloud.google.com/iam/docs/permissions-reference
ROUTES: list[tuple[str, str, str, str, bool]] = [
    ("storage", "POST", r"/storage/v1/b", "storage.buckets.create", True),
    ("storage", "GET", r"/storage/v1/b/([^/]+)", "storage.buckets.get", False),
    ("storage", "PATCH", r"/storage/v1/b/([^/]+)", "storage.buckets.update", True),
    ("storage", "DELETE", r"/storage/v1/b/([^/]+)", "storage.buckets.delete", True),
    ("storage", "GET", r"/storage/v1/b/([^/]+)/iam", "storage.buckets.getIamPolicy", False),
    ("storage", "PUT", r"/storage/v1/b/([^/]+)/iam", "storage.buckets.setIamPolicy", True),
    ("storage", "GET", r"/storage/v1/b/([^/]+)/o", "storage.objects.list", False),
    ("storage", "DELETE", r"/storage/v1/b/([^/]+)/o/(.+)", "storage.objects.delete", True),
    ("iam", "POST", r"/v1/projects/([^/]+)/serviceAccounts", "iam.serviceAccounts.create", True),
    ("iam", "GET", r"/v1/projects/([^/]+)/serviceAccounts/([^/:]+)", "iam.serviceAccounts.get", False),
    ("iam", "PATCH", r"/v1/projects/([^/]+)/serviceAccounts/([^/:]+)", "iam.serviceAccounts.update", True),
    ("iam", "DELETE", r"/v1/projects/([^/]+)/serviceAccounts/([^/:]+)", "iam.serviceAccounts.delete", True),
    ("iam", "POST", r"/v1/projects/([^/]+)/serviceAccounts/([^/:]+):enable", "iam.serviceAccounts.enable", True),
    ("iam", "POST", r"/v1/projects/([^/]+)/serviceAccounts/([^/:]+):getIamPolicy",
     "iam.serviceAccounts.getIamPolicy", False),
    ("iam", "POST", r"/v1/projects/([^/]+)/serviceAccounts/([^/:]+):setIamPolicy",
     "iam.serviceAccounts.setIamPolicy", True),
    ("cloudresourcemanager", "GET", r"/v3/projects/([^/]+)", "resourcemanager.projects.get", False),
]  # fmt: skip


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        self.response = answer(status, {"error": {"code": status, "message": message}})
        super().__init__(message)


@dataclass
class Policy:
    """An IAM policy whose etag changes with every write."""

    bindings: list[dict[str, Any]] = field(default_factory=list)
    version: int = 0

    def read(self) -> dict[str, Any]:
        policy: dict[str, Any] = {"etag": f"etag-{self.version}", "version": 1}
        return {**policy, "bindings": self.bindings} if self.bindings else policy

    def write(self, body: dict[str, Any], conflict: int) -> None:
        known(body, {"etag", "version", "bindings", "kind", "resourceId"})
        if body.get("etag") != f"etag-{self.version}":
            raise Refused(conflict, "There were concurrent policy changes. Please retry the whole read-modify-write.")
        if any("condition" in each for each in self.bindings) and body.get("version") != 3:
            raise Refused(400, "Version 3 is required to write a policy with conditions.")
        for binding in body.get("bindings", []):
            known(binding, {"role", "members", "condition"})
        self.bindings = body.get("bindings", [])
        self.version += 1


@dataclass
class Google:
    """All projects. `lag` reads of a new service account answer 404, and so long no policy may name it."""

    project: str
    number: str
    lag: int = 0
    buckets: dict[str, dict[str, Any]] = field(default_factory=dict)
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    objects: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    unknown_for: dict[str, int] = field(default_factory=dict)
    serial: int = 100

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Response:
        route = find(request)
        if route is None:
            return answer(501, {"error": {"code": 501, "message": f"not simulated: {request.method} {request.target}"}})
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return answer(401, {"error": {"code": 401, "message": "Invalid Credentials"}})
        action, names = route
        handler = getattr(self, "_" + action.replace(".", "_"))
        try:
            with self._lock:
                return answer(200, handler(request, *names))
        except Refused as refused:
            return refused.response

    def _bucket(self, name: str) -> dict[str, Any]:
        if name not in self.buckets:
            raise Refused(404, "The specified bucket does not exist.")
        if self.buckets[name]["projectNumber"] != self.number:
            raise Refused(403, f"deployer does not have storage.buckets.get access to the bucket {name}.")
        return self.buckets[name]

    def _storage_buckets_create(self, request: Request) -> Any:
        body = known(request.json(), BUCKET_FIELDS)
        query(request, {"project"})
        name = body["name"]
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]", name) or "google" in name or name.startswith("goog"):
            raise Refused(400, f"Invalid bucket name: '{name}'")
        if request.query["project"] != self.project:
            raise Refused(403, "deployer does not have storage.buckets.create access to the project.")
        if body["location"].upper() not in LOCATIONS:
            raise Refused(400, f"The specified location constraint is not valid: {body['location']}")
        if name in self.buckets:
            raise Refused(409, "The requested bucket name is not available. Please select a different name.")
        seconds = {"retentionDurationSeconds": "604800"}
        self.buckets[name] = merge(
            {"projectNumber": self.number, "softDeletePolicy": seconds, "iamConfiguration": ACL_DEFAULTS},
            {**body, "location": body["location"].upper()},
        )
        self.policies[name] = Policy([{"role": "roles/storage.legacyBucketOwner", "members": ["projectOwner:p"]}])
        return self.buckets[name]

    def _storage_buckets_get(self, _: Request, name: str) -> Any:
        return self._bucket(name)

    def _storage_buckets_update(self, request: Request, name: str) -> Any:
        body = known(request.json(), BUCKET_FIELDS - {"name", "location"})
        self.buckets[name] = merge(self._bucket(name), body)
        return self.buckets[name]

    def _storage_buckets_delete(self, _: Request, name: str) -> None:
        self._bucket(name)
        if self.objects.get(name):
            raise Refused(409, "The bucket you tried to delete is not empty.")
        del self.buckets[name]

    def _storage_buckets_getIamPolicy(self, request: Request, name: str) -> Any:  # noqa: N802 - the permission's name
        query(request, {"optionsRequestedPolicyVersion"})
        self._bucket(name)
        return {"kind": "storage#policy", **self.policies[name].read()}

    def _storage_buckets_setIamPolicy(self, request: Request, name: str) -> Any:  # noqa: N802
        self._bucket(name)
        self._check_members(request.json())
        self.policies[name].write(request.json(), 412)
        return self.policies[name].read()

    def _storage_objects_list(self, request: Request, name: str) -> Any:
        query(request, {"versions", "maxResults", "fields"})
        self._bucket(name)
        found = self.objects.get(name, [])[: int(request.query["maxResults"])]
        return {"items": [{"name": key, "generation": str(generation)} for key, generation in found]} if found else {}

    def _storage_objects_delete(self, request: Request, name: str, key: str) -> None:
        query(request, {"generation"})
        self._bucket(name)
        self.objects[name].remove((key, int(request.query["generation"])))

    def _account(self, email: str) -> dict[str, Any]:
        if self.unknown_for.get(email, 0) > 0:
            self.unknown_for[email] -= 1
            raise Refused(404, f"Unknown service account {email}")
        if email not in self.accounts:
            raise Refused(404, f"Unknown service account {email}")
        return self.accounts[email]

    def _check_members(self, policy: dict[str, Any]) -> None:
        for binding in policy.get("bindings", []):
            for member in binding["members"]:
                kind, _, email = member.partition(":")
                if kind == "serviceAccount" and email.endswith(".iam.gserviceaccount.com"):
                    try:
                        self._account(email)
                    except Refused as refused:
                        raise Refused(400, f"Service account {email} does not exist.") from refused

    def _iam_serviceAccounts_create(self, request: Request, project: str) -> Any:  # noqa: N802
        body = known(request.json(), {"accountId", "serviceAccount"})
        known(body["serviceAccount"], ACCOUNT_FIELDS)
        if not re.fullmatch(r"[a-z]([-a-z0-9]{4,28})[a-z0-9]", body["accountId"]):
            raise Refused(400, "The account ID does not have a length between 6 and 30, or is not valid.")
        email = f"{body['accountId']}@{project}.iam.gserviceaccount.com"
        if email in self.accounts:
            raise Refused(409, f"Service account {body['accountId']} already exists within project.")
        self.serial += 1
        self.accounts[email] = {"email": email, "uniqueId": str(self.serial), **body["serviceAccount"]}
        self.policies[email] = Policy()
        self.unknown_for[email] = self.lag
        return self.accounts[email]

    def _iam_serviceAccounts_get(self, _: Request, project: str, email: str) -> Any:  # noqa: N802
        if project != self.project:
            raise Refused(403, "Permission 'iam.serviceAccounts.get' denied on resource (or it may not exist).")
        return self._account(email)

    def _iam_serviceAccounts_update(self, request: Request, _: str, email: str) -> Any:  # noqa: N802
        body = known(request.json(), {"serviceAccount", "updateMask"})
        known(body["serviceAccount"], ACCOUNT_FIELDS)
        if set(body["updateMask"].split(",")) != set(body["serviceAccount"]):
            raise Refused(400, "The update mask and the fields differ.")
        self._account(email).update(body["serviceAccount"])
        return self.accounts[email]

    def _iam_serviceAccounts_enable(self, _: Request, __: str, email: str) -> Any:  # noqa: N802
        self._account(email).pop("disabled", None)
        return {}

    def _iam_serviceAccounts_delete(self, _: Request, __: str, email: str) -> Any:  # noqa: N802
        """A deleted account stays in the policies that named it, as its deleted twin."""
        account = self._account(email)
        del self.accounts[email]
        twin = f"deleted:serviceAccount:{email}?uid={account['uniqueId']}"
        for policy in self.policies.values():
            for binding in policy.bindings:
                binding["members"] = [twin if m == f"serviceAccount:{email}" else m for m in binding["members"]]
        return {}

    def _iam_serviceAccounts_getIamPolicy(self, request: Request, _: str, email: str) -> Any:  # noqa: N802
        query(request, {"options.requestedPolicyVersion"})
        self._account(email)
        return self.policies[email].read()

    def _iam_serviceAccounts_setIamPolicy(self, request: Request, _: str, email: str) -> Any:  # noqa: N802
        body = known(request.json(), {"policy", "updateMask"})
        self._account(email)
        self.policies[email].write(body["policy"], 409)
        return self.policies[email].read()

    def _resourcemanager_projects_get(self, _: Request, project: str) -> Any:
        if project != self.project:
            raise Refused(403, f"The caller does not have permission resourcemanager.projects.get on {project}.")
        return {"name": f"projects/{self.number}", "projectId": project, "state": "ACTIVE"}


ACL_DEFAULTS = {"uniformBucketLevelAccess": {"enabled": False}, "publicAccessPrevention": "inherited"}


def known(body: dict[str, Any], fields: set[str]) -> dict[str, Any]:
    """Refuse fields that the reference does not have."""
    if set(body) - fields:
        raise Refused(501, f"not simulated: fields {sorted(set(body) - fields)}")
    return body


def query(request: Request, names: set[str]) -> None:
    if set(request.query) != names:
        raise Refused(501, f"not simulated: query {sorted(request.query)}")


def merge(resource: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Apply a JSON merge patch, as PATCH of Google's does."""
    merged = dict(resource)
    for key, value in patch.items():
        merged[key] = merge(merged.get(key, {}), value) if isinstance(value, dict) else value
    return merged


def find(request: Request) -> tuple[str, tuple[str, ...]] | None:
    """Return the permission that a call needs, and the names in its path."""
    for host, method, pattern, action, _ in ROUTES:
        matched = re.fullmatch(pattern, request.path)
        if request.host == f"{host}.googleapis.com" and method == request.method and matched:
            return action, matched.groups()
    return None


def name(request: Request) -> tuple[str, bool]:
    found = find(request)
    if found is None:
        return f"unknown:{request.method} {request.target}", True
    return found[0], next(write for _, _, _, action, write in ROUTES if action == found[0])


@contextmanager
def serve(folder: Path, project: str, number: str, port: int = 0) -> Iterator[tuple[Proxy, Google]]:
    google = Google(project, number)
    with Proxy(Cloud(HOSTS, google, name), folder, port) as proxy:
        yield proxy, google


def environment(proxy: Proxy) -> dict[str, str]:
    """Return what makes unmodified clients of Google talk to the simulator."""
    return {
        "HTTPS_PROXY": proxy.url,
        "NO_PROXY": "127.0.0.1,localhost",
        "REQUESTS_CA_BUNDLE": str(proxy.authority.bundle),
        "GCP_AUTH_KIND": "accesstoken",
        "GCP_ACCESS_TOKEN": TOKEN,
    }
