#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ensure that a managed identity may use the blobs of one container."""

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_role_assignment
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Ensure a managed identity's role on a blob container
description:
  - Grants the role C(Storage Blob Data Contributor) on one container to a managed identity, and waits until Azure
    knows an identity that was created a moment ago.
  - Reads before it writes, so a second run makes no write call. An assignment is found by principal, role and scope, so
    one that has another name is used, and is removed with O(state=absent). It stays if the identity has another
    federated credential, since then others use it.
  - The name of a new assignment is derived from scope and identity, so that it is made once.
extends_documentation_fragment:
  - nebari.mlflow.cloud.resource
  - nebari.mlflow.cloud.azure
options:
  scope:
    description: Resource id of the container.
    type: str
    required: true
  identity_id:
    description: Resource id of the managed identity.
    type: str
    required: true
  principal_id:
    description: Object id of the identity's service principal. Required with O(state=present).
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Let the identity use the container
  nebari.mlflow.azure_role_assignment:
    subscription_id: 00000000-0000-0000-0000-000000000000
    scope: "{{ container.id }}"
    identity_id: "{{ identity.id }}"
    principal_id: "{{ identity.principal_id }}"
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: create, kind: role assignment, name: Storage Blob Data Contributor}
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
from ansible_collections.nebari.mlflow.plugins.module_utils.azure import identity
from ansible_collections.nebari.mlflow.plugins.module_utils.azure.client import Azure
from ansible_collections.nebari.mlflow.plugins.module_utils.azure.credentials import OF_CLOUD
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry import HIDDEN, STATE, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.ledger import Ledger

ARGUMENTS: dict[str, dict[str, Any]] = {
    **HIDDEN,
    **OF_CLOUD,
    "scope": {"type": "str", "required": True},
    "identity_id": {"type": "str", "required": True},
    "principal_id": {"type": "str", "default": ""},
    "state": STATE,
}
RULES: dict[str, Any] = {"required_if": [("state", "present", ("principal_id",))]}


def ensure(params: dict[str, Any], plan: Ledger) -> dict[str, Any]:
    """Bring the assignment to its state."""
    azure, scope, path = Azure(params, plan.progress), params["scope"], params["identity_id"]
    if params["state"] == "present":
        exists = params["principal_id"] != identity.UNKNOWN
        identity.ensure_assignment(azure, plan, scope, path, params["principal_id"], exists)
    else:
        identity.ensure_assignment_absent(azure, plan, scope, path, params["principal_id"])
    return {}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **RULES), ensure, "Azure")


if __name__ == "__main__":
    main()
