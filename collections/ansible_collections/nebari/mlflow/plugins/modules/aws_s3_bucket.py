#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ensure an S3 bucket that is private, versioned, encrypted and marked by its owner."""

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_s3_bucket
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Ensure a private, versioned and encrypted S3 bucket
description:
  - Creates and repairs a bucket without public access or ACLs, with versioning and a policy that requires TLS.
  - Reads before it writes and writes only what differs, so a second run makes no write call. Tags, policy statements,
    lifecycle and an encryption that other people set stay.
  - Every call names the account, so that a bucket of another account is never touched. A bucket with another owner's
    tag is refused.
extends_documentation_fragment:
  - nebari.mlflow.cloud.resource
  - nebari.mlflow.cloud.owned
  - nebari.mlflow.cloud.aws
options:
  name:
    description: Name of the bucket. Bucket names are globally unique.
    type: str
    required: true
  kms_key_arn:
    description: ARN of the key to encrypt with. Empty leaves the bucket's encryption as it is.
    type: str
    default: ""
  encrypt:
    description: Whether to encrypt with O(kms_key_arn). With V(false), S3's own keys replace that key, and no other.
    type: bool
    default: true
  adopted:
    description: Whether the bucket was there before the deployment, which never deletes it then.
    type: bool
    default: false
  delete_data:
    description:
      - With O(state=absent), whether to delete every version of every object and every upload below C(artifacts/), then
        the bucket. Without it, the bucket stays.
      - A bucket that was adopted or holds other objects stays.
      - The data cannot be brought back.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Ensure the bucket
  nebari.mlflow.aws_s3_bucket:
    name: demo-mlflow-artifacts
    owner: demo
    region: eu-west-1
    kms_key_arn: "{{ key.arn }}"

- name: Delete the bucket with its artifacts
  nebari.mlflow.aws_s3_bucket:
    name: demo-mlflow-artifacts
    owner: demo
    region: eu-west-1
    state: absent
    delete_data: true
"""

RETURN = r"""
arn:
  description: ARN of the bucket.
  returned: success
  type: str
  sample: arn:aws:s3:::demo-mlflow-artifacts
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: update, kind: S3 bucket, name: demo-mlflow-artifacts, fields: [versioning]}
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
from ansible_collections.nebari.mlflow.plugins.module_utils.aws import bucket, objects
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
    "kms_key_arn": {"type": "str", "default": ""},
    "encrypt": {"type": "bool", "default": True},
    "tags": {"type": "dict", "default": {}},
    "adopted": {"type": "bool", "default": False},
    "delete_data": {"type": "bool", "default": False},
    "state": STATE,
}


def ensure(params: dict[str, Any], plan: Ledger) -> dict[str, Any]:
    """Bring the bucket to its state."""
    named, owner = bucket.Bucket(Aws(params, plan.progress), params["name"]), params["owner"]
    exists = named.exists()
    if params["state"] == "present":
        tags, key = naming.marked(params["tags"], owner), params["kms_key_arn"]
        settings = bucket.inspect(named, exists, owner)
        bucket.ensure_present(plan, named, exists, settings, tags, key if params["encrypt"] else "", key)
    elif exists:
        objects.check(named, owner)
        objects.ensure_absent(plan, named, params["adopted"], params["delete_data"])
    return {"arn": named.arn}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), ensure, "AWS")


if __name__ == "__main__":
    main()
