"""Cloud Storage's JSON API: buckets, their policies, and objects.

https://cloud.google.com/storage/docs/json_api/v1
"""

from __future__ import annotations

import re
import time
from typing import Any

from ..http import Request, Response
from .errors import DEPLOYER, Refused, denied, known, query
from .policies import Policy
from .state import TOKEN, Google

LOCATIONS = {"EUROPE-WEST1", "US-EAST1", "US-CENTRAL1", "US", "EU", "ASIA"}
# Of https://cloud.google.com/storage/docs/json_api/v1/buckets#resource-representations, what is simulated of the fields
# that a client may write.
WRITABLE = {"name", "location", "labels", "iamConfiguration", "versioning", "softDeletePolicy"}
DAY = 86400
OBJECT_USER = "roles/storage.objectUser"


def bucket(google: Google, name: str, permission: str = "storage.buckets.get") -> dict[str, Any]:
    _check_name(name)
    if name not in google.buckets:
        raise Refused(404, "The specified bucket does not exist.")
    if google.buckets[name]["projectNumber"] != google.number and name not in google.shared:
        raise denied("storage.", permission, "Google Cloud Storage bucket")
    return google.buckets[name]


def bucket_create(google: Google, request: Request) -> Any:
    body = known(request.json(), WRITABLE, {"name"})
    query(request, {"project"})
    name, project = body["name"], request.query["project"]
    _check_name(name)
    if project not in (google.project, "somebody-elses"):
        raise Refused(400, f"Unknown project id: {project}")
    if project != google.project:
        raise denied("storage.", "storage.buckets.create", "Google Cloud project")
    if body.get("location", "US").upper() not in LOCATIONS:
        raise Refused(400, "The specified location constraint is not valid.")
    _check(body)
    if name in google.buckets:
        if google.buckets[name]["projectNumber"] == google.number:
            raise Refused(409, "Your previous request to create the named bucket succeeded and you already own it.")
        raise Refused(409, "The requested bucket name is not available. Please select a different name and try again.")
    # What a bucket has that says nothing: https://cloud.google.com/storage/docs/soft-delete#defaults
    made = {
        "kind": "storage#bucket", "id": name, "projectNumber": google.number, "metageneration": "1", "etag": "CAE=",
        "selfLink": f"https://www.googleapis.com/storage/v1/b/{name}", "storageClass": "STANDARD",
        "softDeletePolicy": {"retentionDurationSeconds": str(7 * DAY), "effectiveTime": "2026-01-01T00:00:00Z"},
        "iamConfiguration": {
            "bucketPolicyOnly": {"enabled": False}, "uniformBucketLevelAccess": {"enabled": False},
            "publicAccessPrevention": "inherited",
        },
    }  # fmt: skip
    google.buckets[name] = _kept(made, {**body, "location": body.get("location", "US").upper()})
    owners = {"role": "roles/storage.legacyBucketOwner", "members": [f"projectOwner:{project}"]}
    google.policies[name] = Policy([owners])
    return google.buckets[name]


def bucket_get(google: Google, _: Request, name: str) -> Any:
    return bucket(google, name)


def bucket_update(google: Google, request: Request, name: str) -> Any:
    """Takes a JSON merge patch: https://cloud.google.com/storage/docs/json_api/v1/buckets/patch"""
    body = known(request.json(), WRITABLE - {"name", "location"})
    _check(body)
    google.buckets[name] = _kept(bucket(google, name, "storage.buckets.update"), body)
    google.buckets[name]["metageneration"] = str(int(google.buckets[name].get("metageneration", "1")) + 1)
    return google.buckets[name]


def bucket_delete(google: Google, _: Request, name: str) -> Any:
    bucket(google, name, "storage.buckets.delete")
    if google.objects.get(name):
        raise Refused(409, "The bucket you tried to delete is not empty.")
    del google.buckets[name]
    return Response(204)


def policy_get(google: Google, request: Request, name: str) -> Any:
    query(request, {"optionsRequestedPolicyVersion"})
    bucket(google, name, "storage.buckets.getIamPolicy")
    policy = google.policies[name].read(request.query["optionsRequestedPolicyVersion"])
    return {"kind": "storage#policy", "resourceId": f"projects/_/buckets/{name}", "version": 1, **policy}


def policy_set(google: Google, request: Request, name: str) -> Any:
    query(request, set())
    bucket(google, name, "storage.buckets.setIamPolicy")
    google.policies[name].write(google, request.json(), 412)
    google.since[name] = time.monotonic()
    return google.policies[name].read("3")


def object_list(google: Google, request: Request, name: str) -> Any:
    """A page may be empty and still have a next one; what a delimiter cuts is answered as a prefix.

    https://cloud.google.com/storage/docs/json_api/v1/objects/list
    """
    query(request, {"versions", "maxResults", "fields"} | ({"pageToken", "prefix", "delimiter"} & set(request.query)))
    bucket(google, name, "storage.objects.list")
    fields = re.fullmatch(
        r"((?:nextPageToken,)?)((?:prefixes,)?)items\(name(?:,generation)?\)", request.query["fields"]
    )
    if fields is None or bool(fields[2]) != ("delimiter" in request.query):
        raise Refused(400, f"Invalid field selection {request.query['fields']}")
    after = request.query.get("pageToken", "")  # the last name of the page before
    if google.sparse and fields[1] and not after:
        return {"nextPageToken": "!"}
    wanted = [each for each in google.objects.get(name, []) if each[0].startswith(request.query.get("prefix", ""))]
    found = sorted(each for each in wanted if f"{each[0]} {each[1]}" > after)
    page = found[: min(int(request.query["maxResults"]), google.page)]
    delimiter = request.query.get("delimiter")
    cut = sorted({key.partition(delimiter)[0] + delimiter for key, _ in page if delimiter in key}) if delimiter else []
    whole = [each for each in page if not delimiter or delimiter not in each[0]]
    items = [{"name": key, "generation": str(number)} for key, number in whole]
    answered: dict[str, Any] = {"items": items} if items else {}
    if cut:
        answered["prefixes"] = cut
    if fields[1] and len(found) > len(page):
        answered["nextPageToken"] = " ".join(map(str, page[-1]))
    return answered


def object_delete(google: Google, request: Request, name: str, key: str) -> Any:
    query(request, {"generation"} if "generation" in request.query else set())
    if user(google, request, name, "storage.objects.delete") != DEPLOYER:
        del google.data[name, key]
        return Response(204)
    if key in google.held:
        raise Refused(403, f"Object '{name}/{key}' is under active Temporary hold and cannot be deleted.")
    if (key, int(request.query["generation"])) not in google.objects[name]:
        raise Refused(404, f"No such object: {name}/{key}")
    google.objects[name].remove((key, int(request.query["generation"])))
    return Response(204)


def object_insert(google: Google, request: Request, name: str) -> Any:
    """https://cloud.google.com/storage/docs/json_api/v1/objects/insert"""
    query(request, {"uploadType", "name"})
    user(google, request, name, "storage.objects.create")
    google.data[name, request.query["name"]] = request.body
    return {"kind": "storage#object", "name": request.query["name"], "bucket": name}


def object_get(google: Google, request: Request, name: str, key: str) -> Any:
    query(request, {"alt"})
    user(google, request, name, "storage.objects.get")
    return Response(200, google.data[name, key])


def user(google: Google, request: Request, name: str, permission: str) -> str:
    """Return who asks for an object, if the bucket's policy lets him."""
    token = request.headers["Authorization"].removeprefix("Bearer ")
    member = google.tokens.get(token, "")
    if token == TOKEN or member == f"serviceAccount:{DEPLOYER}":
        bucket(google, name, permission)
        return DEPLOYER
    if name not in google.buckets or not google.may(member, OBJECT_USER, name):
        said = f"{member} does not have {permission} access to the Google Cloud Storage object."
        raise Refused(403, f"{said} Permission '{permission}' denied on resource (or it may not exist).")
    return member


def _check_name(name: str) -> None:
    """https://cloud.google.com/storage/docs/buckets#naming"""
    wrong = re.search("g[o0]{2}g[l1]e", name) or name.startswith("goog")
    if wrong or not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]", name):
        raise Refused(400, f"Invalid bucket name: '{name}'")


def _check(body: dict[str, Any]) -> None:
    labels = body.get("labels", {})
    # https://cloud.google.com/storage/docs/tags-and-labels#bucket-labels
    for key, value in labels.items():
        if (
            not re.fullmatch(r"[a-z][\w-]{0,62}", key)
            or not re.fullmatch(r"[\w-]{0,63}", value)
            or value.lower() != value
        ):
            raise Refused(400, f"Invalid label '{key}': '{value}'")
    if len(labels) > 64:
        raise Refused(400, "A bucket has at most 64 labels.")
    seconds = known(body.get("softDeletePolicy", {}), {"retentionDurationSeconds"}).get("retentionDurationSeconds", "0")
    # https://cloud.google.com/storage/docs/soft-delete#retention-duration
    if not isinstance(seconds, str) or (int(seconds) and not 7 * DAY <= int(seconds) <= 90 * DAY):
        raise Refused(400, "Soft delete policy retention duration is not 0 or between 7 and 90 days.")
    configuration = known(body.get("iamConfiguration", {}), {"uniformBucketLevelAccess", "publicAccessPrevention"})
    if configuration.get("publicAccessPrevention", "enforced") not in ("enforced", "inherited"):
        raise Refused(400, "Invalid argument: publicAccessPrevention")
    known(configuration.get("uniformBucketLevelAccess", {}), {"enabled"})
    known(body.get("versioning", {}), {"enabled"})


def _kept(resource: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return the resource with a patch; the old name of uniform access says the same."""
    merged = merge(resource, patch)
    configuration = merged.get("iamConfiguration", {})
    uniform = configuration.get("uniformBucketLevelAccess", {}).get("enabled", False)
    locked = {"lockedTime": "2026-04-01T00:00:00Z"} if uniform else {}
    for field in ("bucketPolicyOnly", "uniformBucketLevelAccess"):
        configuration[field] = {"enabled": uniform, **locked}
    return merged


def merge(resource: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    merged = dict(resource)
    for key, value in patch.items():
        merged[key] = merge(merged.get(key, {}), value) if isinstance(value, dict) else value
    return {key: value for key, value in merged.items() if value is not None}
