# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The bucket that holds the artifacts.

https://cloud.google.com/storage/docs/json_api/v1/buckets
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ..cloud.errors import CloudError, foreign, option
from ..cloud.ledger import Ledger, Settings
from ..cloud.naming import OWNER, PREFIX
from ..cloud.neighbours import ADOPTED, holds
from .client import STORAGE, Gcp, GoogleError, explained

KIND = "bucket"
OBJECTS = "objects"
TAKEN = "If the name is someone else's, use another project name: bucket names are global."
VALID = "[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]"  # asking for another name is an error, not a miss
KEEP_SECONDS = 7 * 24 * 3600  # how long a deleted object can be brought back


class Bucket:
    """A bucket by its name, as Cloud Storage's JSON API sees it. Every call may raise CloudError."""

    def __init__(self, gcp: Gcp, name: str) -> None:
        self.gcp = gcp
        self.name = name
        self.url = f"{STORAGE}/b/{name}"

    def read(self) -> dict[str, Any] | None:
        """Return the bucket, or None."""
        permission = "storage.buckets.get"
        try:
            found: dict[str, Any] | None = self.gcp.call("GET", self.url, permission, absent=(404,), raw=(403,))
        except GoogleError as error:
            refused = explained(error, f"{KIND} {self.name}", permission)
            raise CloudError(refused.cause, f"{refused.fix} {TAKEN}") from error
        return found

    def is_ours(self, found: dict[str, Any]) -> bool:
        """Check that the bucket is in our project. Names are global, and anyone can write our label."""
        return str(found["projectNumber"]) == self.gcp.number

    def create(self, wanted: Settings, location: str) -> None:
        """Create it. A bucket that an interrupted run created is accepted, another one's is refused."""
        body = {"name": self.name, "location": location, **_body(wanted, tuple(wanted))}
        try:
            query = {"project": self.gcp.project}
            self.gcp.call("POST", f"{STORAGE}/b", "storage.buckets.create", body=body, query=query, raw=(409,))
        except GoogleError as error:
            found = self.read()
            ours = found and found.get("labels", {}).get(OWNER) == wanted["labels"][OWNER] and self.is_ours(found)
            if not ours:
                raise CloudError(f"{KIND} {self.name} cannot be created: {error.said}.", TAKEN) from error

    def patch(self, wanted: Settings, fields: tuple[str, ...]) -> None:
        """Write the named settings only."""
        self.gcp.call("PATCH", self.url, "storage.buckets.update", body=_body(wanted, fields))

    def delete(self) -> None:
        """Delete it with its objects, if it exists."""
        self.empty()
        self.gcp.call("DELETE", self.url, "storage.buckets.delete", absent=(404,))

    def empty(self) -> None:
        """Delete every version of every artifact."""
        deleted = 0
        for page in self._pages({"prefix": f"{PREFIX}/", "fields": "nextPageToken,items(name,generation)"}):
            for item in page.get("items", []):
                url = f"{self.url}/o/{quote(item['name'], safe='')}"
                version = {"generation": item["generation"]}
                self.gcp.call("DELETE", url, "storage.objects.delete", query=version, absent=(404,))
                deleted += 1
                self.gcp.progress.say(f"emptying bucket {self.name}", f"({deleted} object versions deleted)")

    def top(self) -> list[str]:
        """Return what is at the bucket's root: objects, and folders with a slash at their end."""
        names: list[str] = []
        for page in self._pages({"delimiter": "/", "fields": "nextPageToken,prefixes,items(name)"}):
            names += [*page.get("prefixes", []), *(item["name"] for item in page.get("items", []))]
        return sorted(set(names))

    def _pages(self, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        """Yield the pages of a list of all versions; one may be empty and still have a next one."""
        following: dict[str, str] = {}
        while True:
            asked = {"versions": "true", "maxResults": "500", **query, **following}
            page = self.gcp.call("GET", f"{self.url}/o", "storage.objects.list", query=asked, absent=(404,)) or {}
            yield page
            if "nextPageToken" not in page:
                return
            following = {"pageToken": page["nextPageToken"]}


def choose(gcp: Gcp, name: str, adopt: str, owner: str) -> tuple[Bucket, dict[str, Any] | None]:
    """Return our bucket and what it is; `adopt` is used when ours does not exist and that one does, unowned or ours."""
    ours = Bucket(gcp, name)
    found = ours.read()
    if found is None and re.fullmatch(VALID, adopt):
        other = Bucket(gcp, adopt)
        # Names are global: what we may not see, or what is in another project, is not ours.
        taken = gcp.call("GET", other.url, "storage.buckets.get", absent=(403, 404))
        if taken and taken.get("labels", {}).get(OWNER, owner) == owner and other.is_ours(taken):
            return other, taken
    return ours, found


def ensure_present(
    plan: Ledger, bucket: Bucket, found: dict[str, Any] | None, labels: dict[str, str], location: str
) -> None:
    """Create or repair the bucket. Only what differs is patched, so what others set stays. Raises CloudError."""
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
        given = option("location", "mlflow_gcp_region", found["location"].lower())
        raise CloudError(
            f"bucket {bucket.name} is in {found['location']}, not in {location.upper()}. Nothing was changed.",
            f"Give {given}, or move the artifacts; a bucket cannot change its location.",
        )
    plan.update(KIND, bucket.name, current, wanted, lambda fields: bucket.patch(wanted, fields))


@dataclass(frozen=True)
class Fate:
    """What a removal with the data does: a `reason` spares the bucket, and `emptied` our objects go nevertheless."""

    reason: str = ""
    emptied: bool = False


def fate_of(bucket: Bucket, found: dict[str, Any], adopted: bool) -> Fate:
    """Decide by its content if the bucket may go. Raises CloudError if it cannot be listed."""
    if adopted or found.get("retentionPolicy"):
        return Fate(ADOPTED if adopted else "a retention policy protects its objects")
    top, ours = bucket.top(), f"{PREFIX}/"
    return Fate(holds([name for name in top if name != ours]), ours in top)


def stays(bucket: Bucket, found: dict[str, Any], adopted: bool, delete_data: bool) -> bool:
    """Check whether a removal leaves the bucket in place."""
    return not delete_data or bool(fate_of(bucket, found, adopted).reason)


def ensure_absent(plan: Ledger, bucket: Bucket, found: dict[str, Any], adopted: bool, delete_data: bool) -> None:
    """Delete the bucket, or of one that is spared only our objects. Without `delete_data` it only says what stays."""
    if not delete_data:
        plan.keep(KIND, bucket.name)
        return
    fate = fate_of(bucket, found, adopted)
    if not fate.reason:
        plan.delete(KIND, bucket.name, bucket.delete)
        return
    if fate.emptied:
        plan.delete(OBJECTS, f"{bucket.name}/{PREFIX}/", bucket.empty)
    plan.keep(KIND, bucket.name, fate.reason)


def check_owner(bucket: Bucket, found: dict[str, Any] | None, owner: str) -> None:
    """Refuse a bucket that is in another project or carries another deployment's mark."""
    if found is not None and not bucket.is_ours(found):
        raise CloudError(
            f"bucket {bucket.name} is in the Google Cloud project number {found['projectNumber']}, not in "
            f"{bucket.gcp.project} (number {bucket.gcp.number}). Nothing was changed.",
            "Use another project name or namespace: bucket names are globally unique, and this one is taken.",
        )
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
