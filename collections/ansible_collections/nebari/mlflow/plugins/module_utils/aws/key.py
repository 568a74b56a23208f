# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The KMS key that encrypts the bucket, found by its alias."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..cloud.errors import CloudError, foreign
from ..cloud.ledger import Ledger, Settings
from ..cloud.naming import OWNER
from ..cloud.neighbours import holds
from .client import Aws

KIND = "KMS key"
UNKNOWN = "(known after the key is created)"
S3_OWN = ("aws:kms", "aws:kms:dsse")  # encryption without a key of the account's: nobody needs a right to it
SETTLE = 300.0  # seconds in which tags may not count for a permission yet
WAITING_DAYS = 30  # KMS deletes no key at once; until then the deletion can be cancelled


def find(aws: Aws, name: str, owner: str) -> dict[str, Any] | None:
    """Return the key behind our alias, with its tags; refuse one that is another deployment's."""
    alias = f"alias/{name}"
    answer = aws.call("kms", "describe_key", KeyId=alias, absent=("NotFoundException",))
    if answer is None:
        return None
    key: dict[str, Any] = answer["KeyMetadata"]
    key["Tags"] = _tags(aws, key["KeyId"])
    if key["Tags"].get(OWNER, owner) != owner:
        raise foreign(KIND, alias, key["Tags"][OWNER], owner)
    return key


def arn_of(key: dict[str, Any] | None) -> str:
    """Return the ARN of a key as KMS describes it; "" without a key."""
    return str(key["Arn"]) if key else ""


def of_adopted(aws: Aws, key: str) -> str:
    """Return the ARN of the key that an adopted bucket has, "" when that is S3's own or none."""
    if not key or key in S3_OWN:
        return ""
    return str(aws.call("kms", "describe_key", KeyId=key)["KeyMetadata"]["Arn"])


def ensure_present(
    aws: Aws, plan: Ledger, name: str, owner: str, tags: dict[str, str], key: dict[str, Any] | None
) -> str:
    """Create or repair the key, which is now `key`; return its ARN."""
    if key is None:
        return _create(aws, plan, name, owner, tags)
    arn, key_id = arn_of(key), key["KeyId"]
    rotation = aws.call("kms", "get_key_rotation_status", KeyId=key_id)["KeyRotationEnabled"]
    usable = key["KeyState"] not in ("PendingDeletion", "Disabled")
    before: Settings = {"usable": usable, "rotation": rotation, "tags": {k: key["Tags"].get(k) for k in tags}}

    def apply(fields: tuple[str, ...]) -> None:
        if "usable" in fields and key["KeyState"] == "PendingDeletion":
            aws.call("kms", "cancel_key_deletion", KeyId=key_id)
        if "usable" in fields:
            aws.call("kms", "enable_key", KeyId=key_id)
        if "rotation" in fields:
            aws.call("kms", "enable_key_rotation", KeyId=key_id)
        if "tags" in fields:
            aws.call("kms", "tag_resource", KeyId=key_id, Tags=_listed(tags))

    plan.update(KIND, f"alias/{name}", before, {"usable": True, "rotation": True, "tags": tags}, apply)
    return arn


def ensure_absent(aws: Aws, plan: Ledger, name: str, key: dict[str, Any] | None, spared: str) -> None:
    """Schedule the key's deletion and free its alias, unless `spared` says why not or other people use the key."""
    if key is None:
        return
    pending = key["KeyState"] == "PendingDeletion"
    reason = spared or ("" if pending else holds(_others(aws, name, key["KeyId"])))
    if reason:
        plan.keep(KIND, f"alias/{name}", reason)
        return

    def call() -> None:
        if not pending:
            aws.call("kms", "schedule_key_deletion", KeyId=key["KeyId"], PendingWindowInDays=WAITING_DAYS)
        aws.call("kms", "delete_alias", AliasName=f"alias/{name}", absent=("NotFoundException",))

    plan.delete(KIND, f"alias/{name}", call)


def _create(aws: Aws, plan: Ledger, name: str, owner: str, tags: dict[str, str]) -> str:
    made: list[str] = []

    def call() -> None:
        arn = _unnamed(aws, owner) or _make(aws, name, owner, tags)
        # Named last: until then the key is found by its owner, and made only once. A policy that goes by the key's tags
        # may take so long to know a new key:
        # https://docs.aws.amazon.com/kms/latest/developerguide/tag-authorization.html
        aws.call("kms", "enable_key_rotation", KeyId=arn, settle=SETTLE)
        absent, alias = ("AlreadyExistsException",), f"alias/{name}"
        aws.call("kms", "create_alias", AliasName=alias, TargetKeyId=arn, absent=absent, settle=SETTLE)
        made.append(arn)

    plan.create(KIND, f"alias/{name}", {"usable": True, "rotation": True, "tags": tags}, call)
    return made[0] if made else UNKNOWN


def _make(aws: Aws, name: str, owner: str, tags: dict[str, str]) -> str:
    """Create a key. Sent once: a repeated CreateKey whose answer was lost would leave a second key."""
    for attempt in range(1, 4):
        try:
            answer = aws.call(
                "kms", "create_key", once=True, Description=f"Artifacts of MLflow {name}", Tags=_listed(tags)
            )
            return str(answer["KeyMetadata"]["Arn"])
        except CloudError:
            found = _unnamed(aws, owner)
            if found:
                return found
            if attempt == 3:
                raise
    raise AssertionError("unreachable")


def _unnamed(aws: Aws, owner: str) -> str:
    """Return the ARN of our key that has no alias yet, "" without one. Reads every key, but only before making one."""
    marker: dict[str, Any] = {}
    while True:
        page = aws.call("kms", "list_keys", **marker)
        for entry in page["Keys"]:
            if _visible_tags(aws, entry["KeyId"]).get(OWNER) != owner:
                continue
            state = aws.call("kms", "describe_key", KeyId=entry["KeyId"])["KeyMetadata"]["KeyState"]
            if state == "Enabled":
                return str(entry["KeyArn"])
        if not page.get("Truncated"):
            return ""
        marker = {"Marker": page["NextMarker"]}


def _others(aws: Aws, name: str, key: str) -> list[str]:
    """Return what other people made of the key: aliases, grants, and statements of its policy.

    A key without a policy of its own has one statement, for the account itself.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
    """
    aliases = [each["AliasName"] for each in _listing(aws, "list_aliases", "Aliases", key)]
    grants = [each["GrantId"] for each in _listing(aws, "list_grants", "Grants", key)]
    policy = json.loads(aws.call("kms", "get_key_policy", KeyId=key, PolicyName="default")["Policy"])
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    itself = f"arn:{aws.partition}:iam::{aws.account}:root"
    theirs = [each for each in statements if each.get("Principal") != {"AWS": itself}]
    return [
        *(alias for alias in aliases if alias != f"alias/{name}"),
        *(f"grant {each}" for each in grants),
        *(f"the key policy's statement {each.get('Sid', 'without a Sid')}" for each in theirs),
    ]


def _listing(aws: Aws, operation: str, field: str, key: str) -> Iterator[dict[str, Any]]:
    marker: dict[str, Any] = {}
    while True:
        page = aws.call("kms", operation, KeyId=key, **marker)
        yield from page[field]
        if not page.get("Truncated"):
            return
        marker = {"Marker": page["NextMarker"]}


def _tags(aws: Aws, key: str) -> dict[str, str]:
    answer = aws.call("kms", "list_resource_tags", KeyId=key, absent=("NotFoundException",))
    return {tag["TagKey"]: tag["TagValue"] for tag in answer["Tags"]} if answer else {}


def _visible_tags(aws: Aws, key: str) -> dict[str, str]:
    """Return a key's tags, none for a key whose own policy hides them: AWS says which of the two policies it was."""
    try:
        return _tags(aws, key)
    except CloudError as error:
        if "resource-based policy" in error.cause:
            return {}
        raise


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"TagKey": key, "TagValue": value} for key, value in tags.items()]
