"""Every call that is simulated: the permission that it needs, and the reference that it follows.

Permissions are those of https://cloud.google.com/iam/docs/permissions-reference and
https://cloud.google.com/storage/docs/access-control/iam-json.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ..http import Request
from . import compute, iam, storage, tokens

Handler = Callable[..., Any]
# https://cloud.google.com/sovereign-controls-by-partners and https://www.s3ns.io
UNIVERSES = ("googleapis.com", "s3nsapis.fr")

BUCKETS, BUCKET, OBJECTS = r"/storage/v1/b", r"/storage/v1/b/([^/]+)", r"/storage/v1/b/([^/]+)/o"
ACCOUNTS = r"/v1/projects/([^/]+)/serviceAccounts"
ACCOUNT = ACCOUNTS + r"/([^/:]+)"
COMPUTE, ENGINE = r"/compute/v1/projects/([^/]+)", "https://cloud.google.com/compute/docs/reference/rest/v1/"
JSON, REST = (
    "https://cloud.google.com/storage/docs/json_api/v1/",
    "https://cloud.google.com/iam/docs/reference/rest/v1/",
)


class Route(NamedTuple):
    host: str
    method: str
    path: str
    permission: str
    handler: Handler
    reference: str
    write: bool = False


ROUTES = [
    Route("storage", "POST", BUCKETS, "storage.buckets.create", storage.bucket_create, JSON + "buckets/insert", True),
    Route("storage", "GET", BUCKET, "storage.buckets.get", storage.bucket_get, JSON + "buckets/get"),
    Route("storage", "PATCH", BUCKET, "storage.buckets.update", storage.bucket_update, JSON + "buckets/patch", True),
    Route("storage", "DELETE", BUCKET, "storage.buckets.delete", storage.bucket_delete, JSON + "buckets/delete", True),
    Route("storage", "GET", BUCKET + "/iam", "storage.buckets.getIamPolicy", storage.policy_get,
          JSON + "buckets/getIamPolicy"),
    Route("storage", "PUT", BUCKET + "/iam", "storage.buckets.setIamPolicy", storage.policy_set,
          JSON + "buckets/setIamPolicy", True),
    Route("storage", "GET", OBJECTS, "storage.objects.list", storage.object_list, JSON + "objects/list"),
    Route("storage", "GET", OBJECTS + "/(.+)", "storage.objects.get", storage.object_get, JSON + "objects/get"),
    Route("storage", "DELETE", OBJECTS + "/(.+)", "storage.objects.delete", storage.object_delete,
          JSON + "objects/delete", True),
    Route("storage", "POST", "/upload" + OBJECTS, "storage.objects.create", storage.object_insert,
          JSON + "objects/insert", True),
    Route("iam", "POST", ACCOUNTS, "iam.serviceAccounts.create", iam.account_create,
          REST + "projects.serviceAccounts/create", True),
    Route("iam", "GET", ACCOUNTS, "iam.serviceAccounts.list", iam.account_list,
          REST + "projects.serviceAccounts/list"),
    Route("iam", "GET", ACCOUNT, "iam.serviceAccounts.get", iam.account_get, REST + "projects.serviceAccounts/get"),
    Route("iam", "PATCH", ACCOUNT, "iam.serviceAccounts.update", iam.account_update,
          REST + "projects.serviceAccounts/patch", True),
    Route("iam", "DELETE", ACCOUNT, "iam.serviceAccounts.delete", iam.account_delete,
          REST + "projects.serviceAccounts/delete", True),
    Route("iam", "GET", ACCOUNT + "/keys", "iam.serviceAccountKeys.list", iam.key_list,
          REST + "projects.serviceAccounts.keys/list"),
    Route("iam", "POST", ACCOUNT + ":enable", "iam.serviceAccounts.enable", iam.account_enable,
          REST + "projects.serviceAccounts/enable", True),
    Route("iam", "POST", ACCOUNT + ":getIamPolicy", "iam.serviceAccounts.getIamPolicy", iam.policy_get,
          REST + "projects.serviceAccounts/getIamPolicy"),
    Route("iam", "POST", ACCOUNT + ":setIamPolicy", "iam.serviceAccounts.setIamPolicy", iam.policy_set,
          REST + "projects.serviceAccounts/setIamPolicy", True),
    Route("cloudresourcemanager", "GET", r"/v3/projects/([^/]+)", "resourcemanager.projects.get", iam.project_get,
          "https://cloud.google.com/resource-manager/reference/rest/v3/projects/get"),
    Route("compute", "GET", COMPUTE + "/regions", "compute.regions.list", compute.region_list,
          ENGINE + "regions/list"),
    Route("compute", "GET", COMPUTE + "/regions/([^/]+)/zones", "compute.zones.list", compute.zone_list,
          ENGINE + "regionZones/list"),
    Route("compute", "GET", COMPUTE + "/zones/([^/]+)/machineTypes", "compute.machineTypes.list",
          compute.machine_list, ENGINE + "machineTypes/list"),
    Route("oauth2", "POST", "/token", "token", tokens.by_key,
          "https://developers.google.com/identity/protocols/oauth2/service-account#httprest"),
    Route("sts", "POST", "/v1/token", "token", tokens.exchange,
          "https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token"),
    Route("iamcredentials", "POST", r"/v1/projects/-/serviceAccounts/([^/:]+):generateAccessToken", "token",
          tokens.of_account,
          "https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken"),
    Route("iamcredentials", "GET", r"/v1/projects/-/serviceAccounts/([^/:]+)/allowedLocations", "token",
          tokens.boundary,
          "https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/getAllowedLocations"),
]  # fmt: skip


def find(request: Request) -> tuple[Route, tuple[str, ...]] | None:
    """Return who answers a call, and the names in its path."""
    for route in ROUTES:
        matched = re.fullmatch(route.path, request.path)
        known = request.host in {f"{route.host}.{universe}" for universe in UNIVERSES}
        if known and route.method == request.method and matched:
            return route, matched.groups()
    return None
