# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The bucket that holds the artifacts.

https://cloud.google.com/storage/docs/json_api/v1/buckets
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from ..cloud.errors import CloudError, foreign
from ..cloud.naming import OWNER
from ..cloud.plan import Plan, Settings
from .client import STORAGE, ApiError, Gcp, explained

KIND = "bucket"
TAKEN = "If the name is somebody else's, use another project name: names of buckets are the whole world's."
VALID = "[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]"  # asking for another name is an error, not a miss
KEEP_SECONDS = 7 * 24 * 3600  # how long a deleted object can be brought back


class Bucket:
    def __init__(self, gcp: Gcp, name: str) -> None:
        self.gcp = gcp
        self.name = name
        self.url = f"{STORAGE}/b/{name}"

    def read(self) -> dict[str, Any] | None:
        permission = "storage.buckets.get"
        try:
            found: dict[str, Any] | None = self.gcp.call("GET", self.url, permission, absent=(404,), raw=(403,))
        except ApiError as error:
            refused = explained(error, f"{KIND} {self.name}", permission)
            raise CloudError(refused.cause, f"{refused.fix} {TAKEN}") from error
        return found

    def create(self, wanted: Settings, location: str) -> None:
        body = {"name": self.name, "location": location, **_body(wanted, tuple(wanted))}
        try:
            query = {"project": self.gcp.project}
            self.gcp.call("POST", f"{STORAGE}/b", "storage.buckets.create", body=body, query=query, raw=(409,))
        except ApiError as error:
            found = self.read()
            if not found or found.get("labels", {}).get(OWNER) != wanted["labels"][OWNER]:
                raise CloudError(f"{KIND} {self.name} cannot be made: {error.said}.", TAKEN) from error

    def patch(self, wanted: Settings, fields: tuple[str, ...]) -> None:
        self.gcp.call("PATCH", self.url, "storage.buckets.update", body=_body(wanted, fields))

    def delete(self) -> None:
        self._empty()
        self.gcp.call("DELETE", self.url, "storage.buckets.delete", absent=(404,))

    def _empty(self) -> None:
        deleted = 0
        following: dict[str, str] = {}
        while True:
            query = {"versions": "true", "maxResults": "500", "fields": "nextPageToken,items(name,generation)"}
            found = self.gcp.call(
                "GET", f"{self.url}/o", "storage.objects.list", query={**query, **following}, absent=(404,)
            )
            page = found or {}
            for item in page.get("items", []):
                url = f"{self.url}/o/{quote(item['name'], safe='')}"
                version = {"generation": item["generation"]}
                self.gcp.call("DELETE", url, "storage.objects.delete", query=version, absent=(404,))
                deleted += 1
                self.gcp.progress.say(f"emptying bucket {self.name}", f"({deleted} object versions deleted)")
            if "nextPageToken" not in page:
                return
            following = {"pageToken": page["nextPageToken"]}  # a page may be empty and still have a next one


def choose(gcp: Gcp, name: str, adopt: str, owner: str) -> tuple[Bucket, dict[str, Any] | None]:
    """Return our bucket and what it is; `adopt` is used when ours does not exist and that one does, unowned or ours."""
    ours = Bucket(gcp, name)
    found = ours.read()
    if found is None and re.fullmatch(VALID, adopt):
        other = Bucket(gcp, adopt)
        # Names are the whole world's: what we may not see, or what is in another project, is not ours.
        taken = gcp.call("GET", other.url, "storage.buckets.get", absent=(403, 404))
        if taken and taken.get("labels", {}).get(OWNER, owner) == owner and str(taken["projectNumber"]) == gcp.number:
            return other, taken
    return ours, found


def ensure_present(
    plan: Plan, bucket: Bucket, found: dict[str, Any] | None, labels: dict[str, str], location: str
) -> None:
    """Create or repair the bucket. Only what differs is patched, so what others set stays."""
    current = _settings(found) if found else {"labels": {}}
    wanted: Settings = {
        "labels": {**current["labels"], **labels},
        "uniform_access": True,
        "public_access_prevention": "enforced",
        "versioning": True,
        # A longer time is somebody's choice.
        "soft_delete": max(KEEP_SECONDS, current.get("soft_delete", 0)),
    }
    if found is None:
        plan.create(KIND, bucket.name, {**wanted, "location": location}, lambda: bucket.create(wanted, location))
        return
    if found["location"].upper() != location.upper():
        raise CloudError(
            f"bucket {bucket.name} is in {found['location']}, not in {location.upper()}. Nothing was changed.",
            f"Give mlflow_gcp_region={found['location'].lower()}, or move the artifacts; a bucket stays where it is.",
        )
    plan.update(KIND, bucket.name, current, wanted, lambda fields: bucket.patch(wanted, fields))


def check_owner(bucket: Bucket, found: dict[str, Any] | None, owner: str) -> None:
    theirs = (found or {}).get("labels", {}).get(OWNER, owner)
    if theirs != owner:
        raise foreign(KIND, bucket.name, theirs, owner)


def _settings(found: dict[str, Any]) -> Settings:
    configuration = found.get("iamConfiguration", {})
    return {
        "labels": found.get("labels", {}),
        "uniform_access": configuration.get("uniformBucketLevelAccess", {}).get("enabled", False),
        "public_access_prevention": configuration.get("publicAccessPrevention", "inherited"),
        "versioning": found.get("versioning", {}).get("enabled", False),
        "soft_delete": int(found.get("softDeletePolicy", {}).get("retentionDurationSeconds", 0)),
    }


def _body(wanted: Settings, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the part of the resource that holds these fields."""
    body: dict[str, Any] = {}
    if "labels" in fields:
        body["labels"] = wanted["labels"]
    if "uniform_access" in fields:
        body.setdefault("iamConfiguration", {})["uniformBucketLevelAccess"] = {"enabled": True}
    if "public_access_prevention" in fields:
        body.setdefault("iamConfiguration", {})["publicAccessPrevention"] = "enforced"
    if "versioning" in fields:
        body["versioning"] = {"enabled": True}
    if "soft_delete" in fields:
        body["softDeletePolicy"] = {"retentionDurationSeconds": str(wanted["soft_delete"])}
    return body
