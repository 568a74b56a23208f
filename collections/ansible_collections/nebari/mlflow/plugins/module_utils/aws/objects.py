# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Deleting the data: every version of every artifact, then the bucket if nothing is left in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..cloud.errors import CloudError
from ..cloud.ledger import Ledger
from ..cloud.naming import PREFIX
from ..cloud.neighbours import ADOPTED, holds
from .bucket import KIND, Bucket, check_owner

OBJECTS = "S3 objects"
OURS = f"{PREFIX}/"


@dataclass(frozen=True)
class Fate:
    """What a removal with the data does: a `reason` spares the bucket, and `emptied` our objects go nevertheless."""

    reason: str = ""
    emptied: bool = False


def check(bucket: Bucket, owner: str) -> None:
    """Refuse a bucket of another deployment."""
    check_owner(bucket, bucket.tags(), owner)


def fate_of(bucket: Bucket, adopted: bool) -> Fate:
    """Decide by its content if the bucket may go. Raises CloudError if it cannot be listed."""
    if adopted:
        return Fate(ADOPTED)
    names: set[str] = set()
    for page in _pages(bucket):
        names |= {each["Prefix"] for each in page.get("CommonPrefixes", [])}
        names |= {each["Key"] for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]}
    uploads = {each["Key"] for each in _uploads(bucket)}
    half = sorted(f"the unfinished upload {key}" for key in uploads if not key.startswith(OURS))
    return Fate(holds([*sorted(names - {OURS}), *half]), OURS in names or len(half) < len(uploads))


def ensure_absent(plan: Ledger, bucket: Bucket, adopted: bool, delete_data: bool) -> None:
    """Delete the bucket with our objects, or of one that is spared only our objects.

    Without `delete_data` it only says what stays.
    """

    def call() -> None:
        _empty(plan, bucket)
        bucket.call("delete_bucket", ("NoSuchBucket",))

    if not delete_data:
        plan.keep(KIND, bucket.name)
        return
    fate = fate_of(bucket, adopted)
    if not fate.reason:
        plan.delete(KIND, bucket.name, call)
        return
    if fate.emptied:
        plan.delete(OBJECTS, f"{bucket.name}/{OURS}", lambda: _empty(plan, bucket))
    plan.keep(KIND, bucket.name, fate.reason)


def _pages(bucket: Bucket) -> Iterator[dict[str, Any]]:
    """Yield the pages of what is at the bucket's root; a folder is one entry, however much is in it."""
    marker: dict[str, Any] = {}
    while True:
        page = bucket.call("list_object_versions", Delimiter="/", MaxKeys=1000, **marker)
        yield page
        if not page.get("IsTruncated"):
            return
        markers = {"KeyMarker": page.get("NextKeyMarker"), "VersionIdMarker": page.get("NextVersionIdMarker")}
        marker = {name: value for name, value in markers.items() if value}


def _uploads(bucket: Bucket) -> Iterator[dict[str, Any]]:
    marker: dict[str, Any] = {}
    while True:
        page = bucket.call("list_multipart_uploads", **marker) or {}
        yield from page.get("Uploads", [])
        if not page.get("IsTruncated"):
            return
        marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}


def _empty(plan: Ledger, bucket: Bucket) -> None:
    for upload in [each for each in _uploads(bucket) if each["Key"].startswith(OURS)]:
        bucket.call("abort_multipart_upload", ("NoSuchUpload",), Key=upload["Key"], UploadId=upload["UploadId"])
    deleted = 0
    while True:
        # The first page again each time: what it held has been deleted.
        page = bucket.call("list_object_versions", Prefix=OURS, MaxKeys=1000)
        entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if not entries:
            return
        objects = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]
        errors = bucket.call("delete_objects", Delete={"Objects": objects, "Quiet": True}).get("Errors", [])
        if errors:
            raise CloudError(
                f"S3 bucket {bucket.name}: {errors[0]['Key']} could not be deleted: {errors[0].get('Message', '')}.",
                "Grant s3:DeleteObjectVersion, or remove what protects the object, and run it again.",
            )
        deleted += len(objects)
        plan.progress.say(f"emptying bucket {bucket.name}", f"({deleted} object versions deleted)")
