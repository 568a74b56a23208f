#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ensure a bucket that is private, versioned and marked by its owner."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gcp_bucket
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Ensure a private, versioned Google Cloud Storage bucket
description:
  - Creates and repairs a bucket with uniform access, no public access, versioning and at least seven days of soft
    delete.
  - Reads before it writes and patches only what differs, so a second run makes no write call. Labels, lifecycle, CORS
    and a longer soft delete that other people set stay.
  - A bucket of another project, or with another owner's label, is refused.
extends_documentation_fragment:
  - nebari.mlflow.cloud.resource
  - nebari.mlflow.cloud.gcp
options:
  name:
    description: Name of the bucket. Bucket names are globally unique.
    type: str
    required: true
  owner:
    description: Mark of the deployment, written as the label C(nebari-mlflow-owner).
    type: str
    required: true
  location:
    description: A region or V(US), V(EU), V(ASIA). Required with O(state=present).
    type: str
    default: ""
  labels:
    description: Labels to set. Other labels stay.
    type: dict
    default: {}
  project_number:
    description: Number of the project, if it is known. Otherwise it is read.
    type: str
    default: ""
  adopted:
    description: Whether the bucket was there before the deployment, which never deletes it then.
    type: bool
    default: false
  delete_data:
    description:
      - With O(state=absent), whether to delete every version of every object below C(artifacts/), then the bucket.
        Without it, the bucket stays.
      - A bucket that was adopted, holds other objects or has a retention policy stays.
      - The bucket's soft delete keeps the objects for seven days more; then they cannot be brought back.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Ensure the bucket
  nebari.mlflow.gcp_bucket:
    name: demo-mlflow-artifacts
    owner: demo
    cloud_project: our-project-123
    location: europe-west1

- name: Delete the bucket with its artifacts
  nebari.mlflow.gcp_bucket:
    name: demo-mlflow-artifacts
    owner: demo
    cloud_project: our-project-123
    state: absent
    delete_data: true
"""

RETURN = r"""
name:
  description: Name of the bucket.
  returned: success
  type: str
  sample: demo-mlflow-artifacts
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: update, kind: bucket, name: demo-mlflow-artifacts, fields: [versioning]}
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
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud import naming
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry import HIDDEN, OWNER, STATE, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.ledger import Ledger
from ansible_collections.nebari.mlflow.plugins.module_utils.gcp import bucket
from ansible_collections.nebari.mlflow.plugins.module_utils.gcp.client import Gcp
from ansible_collections.nebari.mlflow.plugins.module_utils.gcp.credentials import OF_OBJECT

ARGUMENTS: dict[str, dict[str, Any]] = {
    **HIDDEN,
    **OF_OBJECT,
    "name": {"type": "str", "required": True},
    "owner": OWNER,
    "location": {"type": "str", "default": ""},
    "labels": {"type": "dict", "default": {}},
    "project_number": {"type": "str", "default": ""},
    "adopted": {"type": "bool", "default": False},
    "delete_data": {"type": "bool", "default": False},
    "state": STATE,
}
RULES: dict[str, Any] = {"required_if": [("state", "present", ("location",))]}


def ensure(params: dict[str, Any], plan: Ledger) -> dict[str, Any]:
    """Bring the bucket to its state."""
    named = bucket.Bucket(Gcp(params, plan.progress), params["name"])
    found = named.read()
    bucket.check_owner(named, found, params["owner"])
    if params["state"] == "present":
        labels = naming.marked(params["labels"], params["owner"])
        bucket.ensure_present(plan, named, found, labels, params["location"])
    elif found is not None:
        bucket.ensure_absent(plan, named, found, params["adopted"], params["delete_data"])
    return {"name": named.name}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **RULES), ensure, "Google Cloud")


if __name__ == "__main__":
    main()
