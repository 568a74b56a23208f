# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Storage and identity on AWS, whole."""

from __future__ import annotations

from typing import Any

from ..cloud import naming
from ..cloud.plan import Plan
from . import bucket, key, objects, pod_identity, policies, role
from .client import Aws


def converge(params: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Bring everything to its state, and return the storage."""
    project, namespace = params["project"], params["namespace"]
    aws = Aws(params["region"], plan.progress)
    owner = naming.owner_id(project, namespace, aws.account)
    name = naming.bucket_name(project, namespace, aws.account)
    tags = naming.tags(project, namespace, owner, params["tags"])
    role_arn = f"arn:{aws.partition}:iam::{aws.account}:role/{name}"
    by_pods = params["identity"] == "pod_identity"
    chosen, exists = bucket.choose(aws, name, params["adopt"])
    if params["state"] == "absent":
        _absent(aws, plan, params, name, tags, chosen if exists else None)
    else:
        if by_pods:
            cluster_arn = f"arn:{aws.partition}:eks:{aws.region}:{aws.account}:cluster/{params['cluster_name']}"
            trust = policies.pod_identity_trust(aws.account, namespace, cluster_arn)
        else:
            trust = policies.irsa_trust(role.issuer_arn(aws, params["oidc_issuer_url"]), namespace)
        # A key that is no longer wanted still opens what it has encrypted.
        old = key.find(aws, name, owner) if not params["enable_s3_encryption"] else None
        key_arn = old["Arn"] if old else ""
        if params["enable_s3_encryption"]:
            key_arn = key.ensure_present(aws, plan, name, owner, tags)
        wanted = key_arn if params["enable_s3_encryption"] else ""
        bucket.ensure_present(plan, chosen, exists, tags, wanted, key_arn)
        access = policies.access(chosen.arn, key_arn)
        role.ensure_present(aws, plan, name, tags, trust, access, params["permissions_boundary"])
        if by_pods:
            pod_identity.ensure_present(aws, plan, params["cluster_name"], namespace, role_arn, tags)
    return {
        "uri": f"s3://{chosen.name}/{policies.PREFIX}",
        "env": {"AWS_DEFAULT_REGION": aws.region},
        "secret": "",
        "service_account_annotations": {} if by_pods else {"eks.amazonaws.com/role-arn": role_arn},
        "pod_labels": {},
        "volume": {},
    }


def _absent(
    aws: Aws, plan: Plan, params: dict[str, Any], name: str, tags: dict[str, str], kept: bucket.Bucket | None
) -> None:
    if params["identity"] == "pod_identity":
        role_arn = f"arn:{aws.partition}:iam::{aws.account}:role/{name}"
        pod_identity.ensure_absent(aws, plan, params["cluster_name"], params["namespace"], role_arn)
    role.ensure_absent(aws, plan, name, tags)
    if params["delete_data"]:
        if kept:
            objects.ensure_absent(plan, kept, tags[naming.OWNER])
        key.ensure_absent(aws, plan, name, tags[naming.OWNER])
    elif kept:
        plan.keep(bucket.KIND, kept.name)
