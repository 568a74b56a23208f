# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The IAM role that the server's service account takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..cloud.errors import CloudError, foreign
from ..cloud.ledger import Ledger, Settings
from ..cloud.naming import OWNER
from ..cloud.neighbours import holds
from .client import Aws
from .policies import canonical

KIND = "IAM role"
POLICY = "artifacts"
GONE = ("NoSuchEntity",)


def arn_of(aws: Aws, name: str) -> str:
    """Return the ARN of a role of this account, whether it exists or not."""
    return f"arn:{aws.partition}:iam::{aws.account}:role/{name}"


def issuer_arn(aws: Aws, issuer_url: str) -> str:
    """Return the ARN of the account's OIDC provider for the cluster, which must exist. Raises CloudError without it."""
    host = issuer_url.removeprefix("https://").rstrip("/")
    arn = f"arn:{aws.partition}:iam::{aws.account}:oidc-provider/{host}"
    provider = aws.call("iam", "get_open_id_connect_provider", OpenIDConnectProviderArn=arn, absent=GONE)
    if provider is None:
        raise CloudError(
            f"aws_oidc_issuer_url: account {aws.account} has no IAM OIDC provider for https://{host}.",
            "Make it once per cluster: eksctl utils associate-iam-oidc-provider --cluster NAME --approve",
        )
    if "sts.amazonaws.com" not in provider.get("ClientIDList", []):
        raise CloudError(
            f"The IAM OIDC provider {arn} does not accept the audience sts.amazonaws.com.",
            f"aws iam add-client-id-to-open-id-connect-provider --client-id sts.amazonaws.com "
            f"--open-id-connect-provider-arn {arn}",
        )
    return arn


def ensure_present(
    aws: Aws, plan: Ledger, name: str, current: Settings | None, tags: dict[str, str], trust: Settings,
    access: Settings, boundary: str
) -> None:  # fmt: skip
    """Create or repair the role, which is now `current`. Other policies attached to it stay.

    Without a `boundary` the role keeps its own.
    """
    wanted: Settings = {"trust": trust, "policy": access, "tags": tags, **({"boundary": boundary} if boundary else {})}
    writers: dict[str, Callable[[], Any]] = {
        "trust": lambda: aws.call("iam", "update_assume_role_policy", RoleName=name, PolicyDocument=json.dumps(trust)),
        "policy": lambda: aws.call(
            "iam", "put_role_policy", RoleName=name, PolicyName=POLICY, PolicyDocument=json.dumps(access)
        ),
        "tags": lambda: aws.call("iam", "tag_role", RoleName=name, Tags=_listed(tags)),
        "boundary": lambda: aws.call(
            "iam", "put_role_permissions_boundary", RoleName=name, PermissionsBoundary=boundary
        ),
    }

    def apply(fields: tuple[str, ...]) -> None:
        for field in fields:
            writers[field]()

    if current is not None:
        # Two documents that say the same in another order are the same.
        for field in ("trust", "policy"):
            if canonical(current[field]) == canonical(wanted[field]):
                current[field] = wanted[field]
        plan.update(KIND, name, current, wanted, apply)
        return

    def create() -> None:
        parameters: dict[str, Any] = {"PermissionsBoundary": boundary} if boundary else {}
        aws.call(
            "iam",
            "create_role",
            absent=("EntityAlreadyExists",),
            RoleName=name,
            Description="MLflow's tracking server",
            AssumeRolePolicyDocument=json.dumps(trust),
            Tags=_listed(tags),
            **parameters,
        )
        apply(("policy",))

    plan.create(KIND, name, wanted, create)


def ensure_absent(aws: Aws, plan: Ledger, name: str, current: Settings | None) -> None:
    """Delete the role, or of one that has policies of other people only ours."""
    if current is None:
        return
    inline = aws.call("iam", "list_role_policies", RoleName=name)["PolicyNames"]
    attached = aws.call("iam", "list_attached_role_policies", RoleName=name)["AttachedPolicies"]
    theirs = [f"policy {each}" for each in inline if each != POLICY]
    theirs += [f"policy {each['PolicyName']}" for each in attached]

    def strip() -> None:
        aws.call("iam", "delete_role_policy", RoleName=name, PolicyName=POLICY, absent=GONE)

    def delete() -> None:
        strip()
        aws.call("iam", "delete_role", RoleName=name, absent=GONE)

    if not theirs:
        plan.delete(KIND, name, delete)
        return
    if POLICY in inline:
        plan.delete("IAM role policy", f"{name}/{POLICY}", strip)
    plan.keep(KIND, name, holds(theirs))


def find(aws: Aws, name: str, tags: dict[str, str]) -> Settings | None:
    """Return what the role is now, None without one; refuse one that is another deployment's."""
    answer = aws.call("iam", "get_role", RoleName=name, absent=GONE)
    if answer is None:
        return None
    role = answer["Role"]
    found = {tag["Key"]: tag["Value"] for tag in role.get("Tags", [])}
    if found.get(OWNER, tags[OWNER]) != tags[OWNER]:
        raise foreign(KIND, name, found[OWNER], tags[OWNER])
    policy = aws.call("iam", "get_role_policy", RoleName=name, PolicyName=POLICY, absent=GONE)
    return {
        "trust": role["AssumeRolePolicyDocument"],
        "policy": policy["PolicyDocument"] if policy else None,
        "tags": {key: found.get(key) for key in tags},
        "boundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
    }


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
