#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Keep an S3 bucket for artifacts and a role that one Kubernetes service account takes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_storage
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Keep an S3 bucket and a keyless identity that may use it
description:
  - Creates and repairs an S3 bucket, a KMS key for it, an IAM role with least privilege, and that role's trust in one
    Kubernetes service account, C(nebari-mlflow).
  - Reads before it writes and writes only what differs, so a second run makes no write call. Tags, bucket policy
    statements and role policies that others made stay.
  - Everything carries the tag C(nebari-mlflow-owner). What carries another owner's is refused.
notes:
  - Credentials and proxy are found as by the AWS CLI, in the environment, a profile or the machine's own role.
extends_documentation_fragment: nebari.mlflow.cloud
requirements:
  - boto3 >= 1.34.63
options:
  project:
    description: Name of the project. With O(namespace) and the account, it makes the names.
    type: str
    required: true
  region:
    description: Region of the bucket and the key.
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
  delete_data:
    description:
      - With O(state=absent), also delete every version of every artifact, then the bucket and, 30 days later, the key.
      - A bucket that was adopted or holds other objects stays, and so does a key that other people use.
      - The data cannot be brought back.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Keep a bucket and a role for an EKS cluster
  nebari.mlflow.aws_storage:
    project: demo
    namespace: dev
    region: eu-west-1
    oidc_issuer_url: https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF

- name: Remove the identity, keep the bucket
  nebari.mlflow.aws_storage:
    project: demo
    namespace: dev
    region: eu-west-1
    state: absent
"""

RETURN = r"""
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
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: update, kind: S3 bucket, name: demo-mlflow-0a1b2c3d, fields: [versioning]}
kept:
  description:
    - What stays after O(state=absent), each with C(kind) and C(name), and with C(reason) if O(delete_data=true) or the
      removal of the identity spares it, because it holds something of other people's or was adopted.
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
from ansible_collections.nebari.mlflow.plugins.module_utils.aws.storage import converge
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry import COMMON, run_module

ARGUMENTS: dict[str, dict[str, Any]] = {
    **COMMON,
    "region": {"type": "str", "required": True},
    "identity": {"type": "str", "choices": ["irsa", "pod_identity"], "default": "irsa"},
    "oidc_issuer_url": {"type": "str", "default": ""},
    "cluster_name": {"type": "str", "default": ""},
    "enable_s3_encryption": {"type": "bool", "default": True},
    "permissions_boundary": {"type": "str", "default": ""},
    "tags": {"type": "dict", "default": {}},
}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), converge)


if __name__ == "__main__":
    main()
