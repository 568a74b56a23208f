#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ensure the IAM role that one Kubernetes service account takes to use one bucket."""

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_iam_role
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Ensure the IAM role of one Kubernetes service account for one S3 bucket
description:
  - Creates and repairs a role that only the service account C(nebari-mlflow) of one namespace of one cluster may
    take, and whose policy C(artifacts) allows only what MLflow does with artifacts in one bucket.
  - Reads before it writes, so a second run makes no write call. Policies that other people attached stay. A role with
    another owner's tag is refused.
extends_documentation_fragment:
  - nebari.mlflow.cloud.resource
  - nebari.mlflow.cloud.owned
  - nebari.mlflow.cloud.aws
options:
  name:
    description: Name of the role.
    type: str
    required: true
  namespace:
    description: Kubernetes namespace of the service account. Required with O(state=present).
    type: str
    default: ""
  oidc_provider_arn:
    description: ARN of the account's OIDC provider for the cluster, for IRSA. Mutually exclusive with O(cluster_arn).
    type: str
  cluster_arn:
    description: ARN of the EKS cluster, for Pod Identity. Mutually exclusive with O(oidc_provider_arn).
    type: str
  bucket:
    description: Name of the bucket. Required with O(state=present).
    type: str
    default: ""
  prefix:
    description: Prefix of the artifacts in the bucket. Empty allows the whole bucket.
    type: str
    default: ""
  kms_key_arn:
    description: ARN of the key that encrypts the artifacts. Empty allows no key.
    type: str
    default: ""
  permissions_boundary:
    description: ARN of a policy that bounds the role. Empty leaves the role's own as it is.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Ensure the role
  nebari.mlflow.aws_iam_role:
    name: demo-mlflow
    owner: demo
    region: eu-west-1
    namespace: dev
    oidc_provider_arn: arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF
    bucket: demo-mlflow-artifacts
    prefix: artifacts
    kms_key_arn: "{{ key.arn }}"
"""

RETURN = r"""
arn:
  description: ARN of the role.
  returned: success
  type: str
  sample: arn:aws:iam::111122223333:role/demo-mlflow
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: update, kind: IAM role, name: demo-mlflow, fields: [trust]}
kept:
  description:
    - What stays after O(state=absent), each with C(kind) and C(name), and with C(reason) if it stays although its
      removal was asked for.
  returned: success
  type: list
  elements: dict
elapsed:
  description: Seconds that the module ran.
  returned: always
  type: float
code:
  description: Code of the page that is about this failure, such as V(NML403).
  returned: failure
  type: str
cause:
  description: What went wrong, naming the object and the value.
  returned: failure
  type: str
fix:
  description: What to do about it.
  returned: failure
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nebari.mlflow.plugins.module_utils.aws import policies, role
from ansible_collections.nebari.mlflow.plugins.module_utils.aws.client import Aws
from ansible_collections.nebari.mlflow.plugins.module_utils.aws.credentials import OF_CLOUD
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud import naming
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry import HIDDEN, OWNER, STATE, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.ledger import Ledger

ARGUMENTS: dict[str, dict[str, Any]] = {
    **HIDDEN,
    **OF_CLOUD,
    "name": {"type": "str", "required": True},
    "owner": OWNER,
    "namespace": {"type": "str", "default": ""},
    "oidc_provider_arn": {"type": "str"},
    "cluster_arn": {"type": "str"},
    "bucket": {"type": "str", "default": ""},
    "prefix": {"type": "str", "default": ""},
    "kms_key_arn": {"type": "str", "default": ""},
    "permissions_boundary": {"type": "str", "default": ""},
    "tags": {"type": "dict", "default": {}},
    "state": STATE,
}
RULES: dict[str, Any] = {
    "mutually_exclusive": [("oidc_provider_arn", "cluster_arn")],
    "required_if": [
        ("state", "present", ("namespace", "bucket")),
        ("state", "present", ("oidc_provider_arn", "cluster_arn"), True),
    ],
}


def ensure(params: dict[str, Any], plan: Ledger) -> dict[str, Any]:
    """Bring the role to its state."""
    aws = Aws(params, plan.progress)
    name, namespace = params["name"], params["namespace"]
    tags = naming.marked(params["tags"], params["owner"])
    found = role.find(aws, name, tags)
    if params["state"] == "present":
        if params["cluster_arn"]:
            trust = policies.pod_identity_trust(aws.account, namespace, params["cluster_arn"])
        else:
            trust = policies.irsa_trust(params["oidc_provider_arn"], namespace)
        bucket_arn = f"arn:{aws.partition}:s3:::{params['bucket']}"
        access = policies.access(bucket_arn, params["prefix"], params["kms_key_arn"])
        role.ensure_present(aws, plan, name, found, tags, trust, access, params["permissions_boundary"])
    else:
        role.ensure_absent(aws, plan, name, found)
    return {"arn": role.arn_of(aws, name)}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **RULES), ensure, "AWS")


if __name__ == "__main__":
    main()
