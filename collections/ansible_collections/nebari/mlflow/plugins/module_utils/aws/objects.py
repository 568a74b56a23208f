# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Deleting the data: every version of every object, then the bucket."""

from __future__ import annotations

from ..cloud.errors import CloudError
from ..cloud.plan import Plan
from .bucket import KIND, Bucket, check_owner


def check(bucket: Bucket, owner: str) -> None:
    """Refuse a bucket of another deployment."""
    check_owner(bucket, bucket.tags(), owner)


def ensure_absent(plan: Plan, bucket: Bucket) -> None:
    """Delete the bucket with all that it holds."""

    def call() -> None:
        _empty(plan, bucket)
        bucket.call("delete_bucket", ("NoSuchBucket",))

    plan.delete(KIND, bucket.name, call)


def _empty(plan: Plan, bucket: Bucket) -> None:
    while uploads := (bucket.call("list_multipart_uploads") or {}).get("Uploads", []):
        for upload in uploads:
            bucket.call("abort_multipart_upload", ("NoSuchUpload",), Key=upload["Key"], UploadId=upload["UploadId"])
    deleted = 0
    while True:
        # The first page again each time: what it held has been deleted.
        page = bucket.call("list_object_versions", MaxKeys=1000)
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
