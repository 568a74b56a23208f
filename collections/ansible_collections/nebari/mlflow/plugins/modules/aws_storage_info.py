#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Look at who owns a deployment's storage and identity on AWS, before anything is changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_storage_info
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Look at a deployment's storage and identity on AWS
description:
  - Reads the bucket, the KMS key, the IAM role, the cluster's OIDC provider or Pod Identity association, and refuses
    what another deployment or another account owns. Returns the derived names, and which of the role's tasks have
    something to do.
  - Everything carries the tag C(nebari-mlflow-owner). What carries another owner's is refused.
extends_documentation_fragment:
  - nebari.mlflow.cloud.look
  - nebari.mlflow.cloud.aws
options:
  project:
    description: Name of the project. With O(namespace) and the account, it makes the names.
    type: str
    required: true
  identity:
    description:
      - How pods get the role. V(irsa) needs O(oidc_issuer_url), V(pod_identity) needs O(cluster_name) and that add-on.
    type: str
    choices: [irsa, pod_identity]
    default: irsa
  oidc_issuer_url:
    description: The cluster's OIDC issuer. Its provider must exist in the account.
    type: str
    default: ""
  cluster_name:
    description: Name of the EKS cluster, for O(identity=pod_identity).
    type: str
    default: ""
  enable_s3_encryption:
    description: Whether to encrypt with a KMS key of the deployment's own instead of S3's keys.
    type: bool
    default: true
  permissions_boundary:
    description: ARN of a policy that bounds the role. Empty leaves the role's own as it is.
    type: str
    default: ""
  tags:
    description: More tags for everything that is created.
    type: dict
    default: {}
  adopt:
    description: Existing bucket of this account to adopt if the default bucket does not exist. It is never deleted.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: See who owns what
  nebari.mlflow.aws_storage_info:
    project: demo
    namespace: dev
    region: eu-west-1
    oidc_issuer_url: https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF
  register: found
"""

RETURN = r"""
owner:
  description: Mark of the deployment.
  returned: success
  type: str
  sample: demo-0a1b2c3d
tags:
  description: Tags of everything, the mark among them.
  returned: success
  type: dict
  sample: {project: demo, namespace: dev, managed-by: nebari-mlflow, nebari-mlflow-owner: demo-0a1b2c3d}
name:
  description: Name of the role and alias of the key.
  returned: success
  type: str
  sample: demo-mlflow-0a1b2c3d
role_arn:
  description: ARN of the role.
  returned: success
  type: str
  sample: arn:aws:iam::111122223333:role/demo-mlflow-0a1b2c3d
oidc_provider_arn:
  description: ARN of the account's OIDC provider for the cluster, empty without O(identity=irsa).
  returned: success
  type: str
  sample: arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF
cluster_arn:
  description: ARN of the cluster O(cluster_name).
  returned: success
  type: str
  sample: arn:aws:eks:eu-west-1:111122223333:cluster/demo
key:
  description: ARN of the key that encrypts the bucket's objects, and whether an adopted bucket brought it.
  returned: success
  type: dict
  sample: {arn: "arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d", adopted: false}
bucket:
  description:
    - The bucket, and the prefix of the artifacts in it.
    - C(stays) says whether it remains, which with O(delete_data) depends on what other people keep in it.
  returned: success
  type: dict
  sample: {name: demo-mlflow-0a1b2c3d, exists: true, adopted: false, stays: true, prefix: artifacts}
storage:
  description: Where artifacts live and what a pod needs to reach them, in the shape that every provider role returns.
  returned: success
  type: dict
  sample:
    uri: s3://demo-mlflow-0a1b2c3d/artifacts
    env: {AWS_DEFAULT_REGION: eu-west-1}
    secret: ""
    service_account_annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::111122223333:role/demo-mlflow-0a1b2c3d"}
    pod_labels: {}
    volume: {}
    network: {metadata: []}
changes:
  description: What the role's tasks would change with O(state=present), in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: update, kind: S3 bucket, name: demo-mlflow-0a1b2c3d, fields: [versioning]}
due:
  description: The objects whose task has something to do with O(state=present).
  returned: success
  type: list
  elements: str
  sample: [key, bucket, role, association]
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
from ansible_collections.nebari.mlflow.plugins.module_utils.aws.credentials import OF_CLOUD
from ansible_collections.nebari.mlflow.plugins.module_utils.aws.survey import look
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry import LOOK, run_module

ARGUMENTS: dict[str, dict[str, Any]] = {
    **LOOK,
    **OF_CLOUD,
    "identity": {"type": "str", "choices": ["irsa", "pod_identity"], "default": "irsa"},
    "oidc_issuer_url": {"type": "str", "default": ""},
    "cluster_name": {"type": "str", "default": ""},
    "enable_s3_encryption": {"type": "bool", "default": True},
    "permissions_boundary": {"type": "str", "default": ""},
    "tags": {"type": "dict", "default": {}},
}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), look, "AWS")


if __name__ == "__main__":
    main()
