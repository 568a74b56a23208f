#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ensure a managed identity that is marked by its owner."""

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_managed_identity
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Ensure an Azure managed identity
description:
  - Creates and repairs a user-assigned managed identity.
  - Reads before it writes, so a second run makes no write call. Tags that other people set stay. An identity with
    another owner's tag is refused.
extends_documentation_fragment:
  - nebari.mlflow.cloud.resource
  - nebari.mlflow.cloud.owned
  - nebari.mlflow.cloud.azure
options:
  name:
    description: Name of the identity.
    type: str
    required: true
  location:
    description: Where the identity is. Required with O(state=present).
    type: str
    default: ""
  scope:
    description:
      - With O(state=absent), the resource id on which the identity has a role from this deployment.
      - An identity with a role elsewhere in the resource group, or with other federated credentials, stays, and loses
        only the credential C(nebari-mlflow).
    type: str
    default: ""
  resource_group:
    description: Name of the resource group.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Ensure the identity
  nebari.mlflow.azure_managed_identity:
    name: demo-mlflow
    owner: demo
    subscription_id: 00000000-0000-0000-0000-000000000000
    resource_group: demo-dev
    location: westeurope
  register: identity
"""

RETURN = r"""
id:
  description: Resource id of the identity.
  returned: success
  type: str
client_id:
  description: Client id, in check mode a placeholder for an identity that would be created.
  returned: success with O(state=present)
  type: str
  sample: 00000000-0000-0000-0000-000000000000
principal_id:
  description: Object id of its service principal, in check mode a placeholder for an identity that would be created.
  returned: success with O(state=present)
  type: str
  sample: 00000000-0000-0000-0000-000000000000
gone:
  description: Whether the identity does not exist, or with O(state=absent) was or would be deleted.
  returned: success
  type: bool
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: create, kind: managed identity, name: demo-mlflow}
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
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud import naming
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry import HIDDEN, OWNER, STATE, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.ledger import Ledger

ARGUMENTS: dict[str, dict[str, Any]] = {
    **HIDDEN,
    **OF_CLOUD,
    "resource_group": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "owner": OWNER,
    "location": {"type": "str", "default": ""},
    "scope": {"type": "str", "default": ""},
    "tags": {"type": "dict", "default": {}},
    "state": STATE,
}
RULES: dict[str, Any] = {"required_if": [("state", "present", ("location",))]}


def ensure(params: dict[str, Any], plan: Ledger) -> dict[str, Any]:
    """Bring the identity to its state."""
    azure, owner = Azure(params, plan.progress), params["owner"]
    path = identity.id_of(azure, params["resource_group"], params["name"])
    found = identity.find(azure, path, owner)
    if params["state"] == "absent":
        return {"id": path, "gone": identity.ensure_absent(azure, plan, path, found, params["scope"])}
    tags = naming.marked(params["tags"], owner)
    made = identity.ensure_present(azure, plan, path, found, params["location"], tags)
    return {"id": path, "gone": False, "client_id": made["clientId"], "principal_id": made["principalId"]}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **RULES), ensure, "Azure")


if __name__ == "__main__":
    main()
