# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Storage and identity on AWS, whole."""

from __future__ import annotations

from typing import Any

from ..cloud import naming
from ..cloud.plan import Plan
from . import bucket, key, objects, pod_identity, policies, role
from .client import Aws

POD_IDENTITY = [{"cidr": "169.254.170.23/32", "port": 80}, {"cidr": "fd00:ec2::23/128", "port": 80}]
"""Where the EKS Pod Identity Agent answers. IRSA asks STS, at port 443 as S3.

https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
"""


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
    adopted = chosen.name != name
    prefix = "" if adopted else naming.PREFIX
    if params["state"] == "absent":
        _absent(aws, plan, params, name, tags, chosen if exists else None)
    else:
        association = None
        if by_pods:
            cluster_arn = f"arn:{aws.partition}:eks:{aws.region}:{aws.account}:cluster/{params['cluster_name']}"
            trust = policies.pod_identity_trust(aws.account, namespace, cluster_arn)
            association = pod_identity.find(aws, params["cluster_name"], namespace)
            pod_identity.check_owner(association, params["cluster_name"], namespace, role_arn, owner)
        else:
            trust = policies.irsa_trust(role.issuer_arn(aws, params["oidc_issuer_url"]), namespace)
        # All is read before anything is changed: each of these may turn out to be somebody else's.
        settings = bucket.inspect(chosen, exists, owner)
        taken = role.find(aws, name, tags)
        old = key.find(aws, name, owner)
        encrypted = params["enable_s3_encryption"]
        # A key that is no longer wanted still opens what it has encrypted; so does the key of a bucket that is adopted.
        key_arn = key.of_adopted(aws, settings["encryption"]["key"]) if adopted else ""
        if not key_arn:
            key_arn = key.ensure_present(aws, plan, name, owner, tags, old) if encrypted else key.arn_of(old)
            bucket.ensure_present(plan, chosen, exists, settings, tags, key_arn if encrypted else "", key_arn)
        else:
            bucket.ensure_present(plan, chosen, exists, settings, tags, "", "")
        access = policies.access(chosen.arn, prefix, key_arn)
        role.ensure_present(aws, plan, name, taken, tags, trust, access, params["permissions_boundary"])
        if by_pods:
            cluster = params["cluster_name"]
            pod_identity.ensure_present(aws, plan, cluster, namespace, association, role_arn, tags)
    return {
        "uri": f"s3://{chosen.name}/{prefix}".rstrip("/"),
        "env": {"AWS_DEFAULT_REGION": aws.region},
        "secret": "",
        "service_account_annotations": {} if by_pods else {"eks.amazonaws.com/role-arn": role_arn},
        "pod_labels": {},
        "volume": {},
        "network": {"metadata": POD_IDENTITY if by_pods else []},
    }


def _absent(
    aws: Aws, plan: Plan, params: dict[str, Any], name: str, tags: dict[str, str], kept: bucket.Bucket | None
) -> None:
    owner = tags[naming.OWNER]
    if kept:
        objects.check(kept, owner)
    taken = role.find(aws, name, tags)
    old = key.find(aws, name, owner)
    if params["identity"] == "pod_identity":
        role_arn = f"arn:{aws.partition}:iam::{aws.account}:role/{name}"
        pod_identity.ensure_absent(aws, plan, params["cluster_name"], params["namespace"], role_arn)
    role.ensure_absent(aws, plan, name, taken)
    if not params["delete_data"]:
        if kept:
            plan.keep(bucket.KIND, kept.name)
        return
    fate = objects.fate(kept, kept.name != name) if kept else objects.Fate()
    if kept:
        objects.ensure_absent(plan, kept, fate)
    spared = f"S3 bucket {kept.name}, which stays, needs it" if kept and fate.reason else ""
    key.ensure_absent(aws, plan, name, old, spared)
