# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a deployment has on AWS: names, owners, and which objects are not as they should be. Reads only."""

from __future__ import annotations

from typing import Any

from ..cloud import naming
from ..cloud.ledger import Ledger
from ..cloud.survey import Survey
from ..network.identity import POD_IDENTITY
from . import bucket, key, objects, pod_identity, policies, role
from .client import Aws


def look(params: dict[str, Any], plan: Ledger) -> dict[str, Any]:
    """Read everything, refuse what is not ours, and return what the role's tasks need."""
    project, namespace = params["project"], params["namespace"]
    aws = Aws(params, plan.progress)
    survey = Survey(plan.progress)
    owner = naming.owner_id(project, namespace, aws.account)
    name = naming.bucket_name(project, namespace, aws.account)
    tags = naming.tags(project, namespace, owner, params["tags"])
    chosen, exists = bucket.choose(aws, name, params["adopt"])
    adopted = chosen.name != name
    prefix = "" if adopted else naming.PREFIX
    by_pods = params["identity"] == "pod_identity"
    found: dict[str, Any] = {
        "owner": owner,
        "name": name,
        "tags": tags,
        "role_arn": role.arn_of(aws, name),
        "oidc_provider_arn": "",
        "cluster_arn": f"arn:{aws.partition}:eks:{aws.region}:{aws.account}:cluster/{params['cluster_name']}",
        "key": {"arn": "", "adopted": False},
        "bucket": {"name": chosen.name, "exists": exists, "adopted": adopted, "stays": exists, "prefix": prefix},
    }
    if params["state"] == "present":
        _look_at_all(aws, survey, params, found, chosen)
    else:
        if exists:
            objects.check(chosen, owner)
        role.find(aws, name, tags)
        key.find(aws, name, owner)
        if exists and params["delete_data"]:
            found["bucket"]["stays"] = bool(objects.fate_of(chosen, adopted).reason)
    annotations = {} if by_pods else {"eks.amazonaws.com/role-arn": found["role_arn"]}
    return {
        **survey.result(),
        **found,
        "storage": {
            "uri": f"s3://{chosen.name}/{prefix}".rstrip("/"),
            "env": {"AWS_DEFAULT_REGION": aws.region},
            "secret": "",
            "service_account_annotations": annotations,
            "pod_labels": {},
            "volume": {},
            "network": {"metadata": POD_IDENTITY if by_pods else []},
        },
    }


def _look_at_all(
    aws: Aws, survey: Survey, params: dict[str, Any], found: dict[str, Any], chosen: bucket.Bucket
) -> None:
    """Read what a deploy needs, and plan each object; fill in what was found."""
    name, owner, tags, namespace = found["name"], found["owner"], found["tags"], params["namespace"]
    by_pods, encrypted = params["identity"] == "pod_identity", params["enable_s3_encryption"]
    cluster, exists, adopted = params["cluster_name"], found["bucket"]["exists"], found["bucket"]["adopted"]
    association = None
    if by_pods:
        trust = policies.pod_identity_trust(aws.account, namespace, found["cluster_arn"])
        association = pod_identity.find(aws, cluster, namespace)
        pod_identity.check_owner(association, cluster, namespace, found["role_arn"], owner)
    else:
        found["oidc_provider_arn"] = role.issuer_arn(aws, params["oidc_issuer_url"])
        trust = policies.irsa_trust(found["oidc_provider_arn"], namespace)
    settings = bucket.inspect(chosen, exists, owner)
    taken = role.find(aws, name, tags)
    old = key.find(aws, name, owner)
    # The key of a bucket that is adopted stays, and the role needs it.
    key_arn = key.of_adopted(aws, settings["encryption"]["key"]) if adopted else ""
    found["key"]["adopted"] = bool(key_arn)
    if not key_arn:
        # A key that is no longer wanted still opens what it has encrypted.
        key_arn = key.ensure_present(aws, survey.part("key"), name, owner, tags, old) if encrypted else key.arn_of(old)
    found["key"]["arn"] = key_arn
    of_bucket = "" if found["key"]["adopted"] else key_arn
    wanted = of_bucket if encrypted else ""
    bucket.ensure_present(survey.part("bucket"), chosen, exists, settings, tags, wanted, of_bucket)
    access = policies.access(chosen.arn, found["bucket"]["prefix"], key_arn)
    role.ensure_present(aws, survey.part("role"), name, taken, tags, trust, access, params["permissions_boundary"])
    if by_pods:
        part = survey.part("association")
        pod_identity.ensure_present(aws, part, cluster, namespace, association, found["role_arn"], tags)
