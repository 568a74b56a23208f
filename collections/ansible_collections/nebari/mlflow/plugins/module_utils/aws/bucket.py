# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The bucket that holds the artifacts."""

from __future__ import annotations

import json
from typing import Any

from ..cloud.errors import CloudError, foreign, option
from ..cloud.ledger import Ledger, Settings
from ..cloud.naming import OWNER
from . import policies
from .client import TAKEN, Aws

KIND = "S3 bucket"
PRIVATE = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
AES = "AES256"


class Bucket:
    """One bucket of one account. Every call names the account, so that a bucket of somebody else is never touched."""

    def __init__(self, aws: Aws, name: str) -> None:
        self.name = name
        self.arn = f"arn:{aws.partition}:s3:::{name}"
        self._aws = aws

    def call(self, operation: str, absent: tuple[str, ...] = (), **parameters: Any) -> Any:
        """Call S3 for this bucket. Return None for an error code in `absent`; raise CloudError for any other."""
        return self._aws.call(
            "s3", operation, absent=absent, Bucket=self.name, ExpectedBucketOwner=self._aws.account, **parameters
        )

    def exists(self) -> bool:
        """Check that the bucket is there, ours to read, and in the right region. Raises CloudError if not."""
        try:
            answer = self.call("get_bucket_location", ("NoSuchBucket",))
        except CloudError as error:
            if "s3:GetBucketLocation" not in error.cause:
                raise
            raise CloudError(error.cause, f"{error.fix} {TAKEN}") from error
        if answer is None:
            return False
        region = {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}.get(
            answer.get("LocationConstraint"), answer.get("LocationConstraint")
        )
        if region != self._aws.region:
            given = option("region", "mlflow_aws_region", region)
            raise CloudError(
                f"S3 bucket {self.name} is in {region}, not in {self._aws.region}. Nothing was changed.",
                f"Give {given}, or move the artifacts; a bucket cannot change its region.",
            )
        return True

    def tags(self) -> dict[str, str]:
        """Return the tags by key. Raises CloudError."""
        answer = self.call("get_bucket_tagging", ("NoSuchTagSet",)) or {"TagSet": []}
        return {tag["Key"]: tag.get("Value", "") for tag in answer["TagSet"]}

    def read(self) -> Settings:
        """Return the settings that this project manages, and all tags."""
        rule = self.call("get_bucket_encryption", ("ServerSideEncryptionConfigurationNotFoundError",))
        block = self.call("get_public_access_block", ("NoSuchPublicAccessBlockConfiguration",)) or {}
        owner = self.call("get_bucket_ownership_controls", ("OwnershipControlsNotFoundError",))
        policy = self.call("get_bucket_policy", ("NoSuchBucketPolicy",))
        return {
            "tags": self.tags(),
            "versioning": self.call("get_bucket_versioning").get("Status", "Disabled"),
            "encryption": _encryption(rule),
            "public_access": block.get("PublicAccessBlockConfiguration", {}),
            "ownership": owner["OwnershipControls"]["Rules"][0]["ObjectOwnership"] if owner else "",
            "policy": json.loads(policy["Policy"]) if policy else None,
        }

    def write(self, settings: Settings, fields: tuple[str, ...]) -> None:
        """Write the named settings, each by a call of its own. Raises CloudError."""
        for field in fields:
            getattr(self, f"_write_{field}")(settings[field])

    def create(self) -> None:
        """Create the bucket, or accept it if this account has it already. Raises CloudError."""
        parameters: dict[str, Any] = {"ObjectOwnership": "BucketOwnerEnforced"}
        if self._aws.region != "us-east-1":
            parameters["CreateBucketConfiguration"] = {"LocationConstraint": self._aws.region}
        self._aws.call("s3", "create_bucket", absent=("BucketAlreadyOwnedByYou",), Bucket=self.name, **parameters)

    def _write_tags(self, tags: dict[str, str]) -> None:
        self.call("put_bucket_tagging", Tagging={"TagSet": [{"Key": k, "Value": v} for k, v in tags.items()]})

    def _write_versioning(self, status: str) -> None:
        self.call("put_bucket_versioning", VersioningConfiguration={"Status": status})

    def _write_encryption(self, encryption: dict[str, str]) -> None:
        rule: dict[str, Any] = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": AES}}
        if encryption["key"]:
            default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": encryption["key"]}
            rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
        self.call("put_bucket_encryption", ServerSideEncryptionConfiguration={"Rules": [rule]})

    def _write_public_access(self, block: dict[str, bool]) -> None:
        self.call("put_public_access_block", PublicAccessBlockConfiguration=block)

    def _write_ownership(self, ownership: str) -> None:
        self.call("put_bucket_ownership_controls", OwnershipControls={"Rules": [{"ObjectOwnership": ownership}]})

    def _write_policy(self, policy: dict[str, Any]) -> None:
        self.call("put_bucket_policy", Policy=json.dumps(policy))


def choose(aws: Aws, name: str, adopt: str) -> tuple[Bucket, bool]:
    """Return our bucket and whether it exists; `adopt` is used when ours does not exist and that one does."""
    ours = Bucket(aws, name)
    if ours.exists():
        return ours, True
    other = Bucket(aws, adopt) if adopt else None
    return (other, True) if other and other.exists() else (ours, False)


def inspect(bucket: Bucket, exists: bool, owner: str) -> Settings:
    """Return what the bucket is now; refuse one that is another deployment's."""
    current: Settings = bucket.read() if exists else {"tags": {}, "policy": None, "encryption": {"key": ""}}
    check_owner(bucket, current["tags"], owner)
    return current


def ensure_present(
    plan: Ledger, bucket: Bucket, exists: bool, current: Settings, tags: dict[str, str], key: str, dropped: str
) -> None:
    """Create or repair the bucket, which is now `current`.

    `key` is the ARN of the key to encrypt with. With "", S3's own keys replace the key `dropped`, and any other
    encryption is somebody's choice that stays.
    """
    wanted: Settings = {
        "ownership": "BucketOwnerEnforced",
        "public_access": PRIVATE,
        "policy": policies.with_tls_only(current["policy"], bucket.arn),
        "tags": {**current["tags"], **tags},
        "versioning": "Enabled",
    }
    if key or (dropped and current["encryption"]["key"] == dropped):
        wanted["encryption"] = {"key": key}
    if exists:
        plan.update(KIND, bucket.name, current, wanted, lambda fields: bucket.write(wanted, fields))
        return

    def create() -> None:
        bucket.create()
        bucket.write(wanted, tuple(wanted))

    plan.create(KIND, bucket.name, wanted, create)


def check_owner(bucket: Bucket, tags: dict[str, str], owner: str) -> None:
    """Raise CloudError if the tags name another deployment as the owner."""
    if tags.get(OWNER, owner) != owner:
        raise foreign(KIND, bucket.name, tags[OWNER], owner)


def _encryption(rule: dict[str, Any] | None) -> dict[str, str]:
    if rule is None:
        return {"key": ""}
    default = rule["ServerSideEncryptionConfiguration"]["Rules"][0].get("ApplyServerSideEncryptionByDefault", {})
    algorithm = default.get("SSEAlgorithm", AES)
    return {"key": "" if algorithm == AES else default.get("KMSMasterKeyID", algorithm)}
