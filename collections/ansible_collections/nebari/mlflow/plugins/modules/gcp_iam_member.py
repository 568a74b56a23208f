#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ensure one member of one role, on a bucket or on a service account."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gcp_iam_member
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Grant a role on a Google Cloud Storage bucket or a service account
description:
  - Adds or removes one member of one role. Other members, roles and conditions stay.
  - The policy is written with its etag, and read again if someone else wrote meanwhile. A member that was created a
    moment ago is waited for.
extends_documentation_fragment:
  - nebari.mlflow.cloud.resource
  - nebari.mlflow.cloud.gcp
options:
  bucket:
    description: Bucket on which the role is granted. Mutually exclusive with O(service_account).
    type: str
  service_account:
    description: Address of the service account on which the role is granted. Mutually exclusive with O(bucket).
    type: str
  role:
    description: The role.
    type: str
    required: true
  member:
    description: The member, as IAM writes it.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Let a service account use the objects of a bucket
  nebari.mlflow.gcp_iam_member:
    cloud_project: our-project-123
    bucket: demo-mlflow-artifacts
    role: roles/storage.objectUser
    member: serviceAccount:demo-mlflow@our-project-123.iam.gserviceaccount.com

- name: Let a Kubernetes service account be a Google service account
  nebari.mlflow.gcp_iam_member:
    cloud_project: our-project-123
    service_account: demo-mlflow@our-project-123.iam.gserviceaccount.com
    role: roles/iam.workloadIdentityUser
    member: serviceAccount:our-project-123.svc.id.goog[dev/nebari-mlflow]
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: create, kind: IAM member, name: roles/storage.objectUser on bucket demo-mlflow-artifacts}
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
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry import HIDDEN, STATE, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.ledger import Ledger
from ansible_collections.nebari.mlflow.plugins.module_utils.gcp import member
from ansible_collections.nebari.mlflow.plugins.module_utils.gcp.client import Gcp
from ansible_collections.nebari.mlflow.plugins.module_utils.gcp.credentials import OF_OBJECT

ARGUMENTS: dict[str, dict[str, Any]] = {
    **HIDDEN,
    **OF_OBJECT,
    "bucket": {"type": "str"},
    "service_account": {"type": "str"},
    "role": {"type": "str", "required": True},
    "member": {"type": "str", "required": True},
    "state": STATE,
}
RULES: dict[str, Any] = {
    "mutually_exclusive": [("bucket", "service_account")],
    "required_one_of": [("bucket", "service_account")],
}


def ensure(params: dict[str, Any], plan: Ledger) -> dict[str, Any]:
    """Bring the grant to its state."""
    gcp = Gcp(params, plan.progress)
    if params["bucket"]:
        target = member.Target.bucket(gcp, params["bucket"])
    else:
        target = member.Target.service_account(gcp, params["service_account"])
    act = member.ensure_present if params["state"] == "present" else member.ensure_absent
    act(plan, target, params["role"], params["member"])
    return {}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **RULES), ensure, "Google Cloud")


if __name__ == "__main__":
    main()
