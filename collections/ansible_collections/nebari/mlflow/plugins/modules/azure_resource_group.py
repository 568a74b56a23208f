#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ensure a resource group, and delete only one that is ours and empty."""

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_resource_group
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Ensure an Azure resource group
description:
  - Creates a resource group that does not exist. One that exists is used as it is.
  - Deletes only a group that carries the tag C(nebari-mlflow-owner) with this owner and holds nothing else.
extends_documentation_fragment:
  - nebari.mlflow.cloud.resource
  - nebari.mlflow.cloud.owned
  - nebari.mlflow.cloud.azure
options:
  name:
    description: Name of the resource group.
    type: str
    required: true
  location:
    description: Where the group is. Required if it does not exist; one that is elsewhere is refused.
    type: str
    default: ""
  gone:
    description:
      - With O(state=absent), ids of the resources that earlier tasks of the play delete. Any other spares the group.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Ensure the resource group
  nebari.mlflow.azure_resource_group:
    name: demo-dev
    owner: demo
    location: westeurope
    subscription_id: 00000000-0000-0000-0000-000000000000
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: create, kind: resource group, name: demo-dev}
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
from ansible_collections.nebari.mlflow.plugins.module_utils.azure import group
from ansible_collections.nebari.mlflow.plugins.module_utils.azure.client import Azure
from ansible_collections.nebari.mlflow.plugins.module_utils.azure.credentials import OF_CLOUD
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud import naming
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry import HIDDEN, OWNER, STATE, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.ledger import Ledger

ARGUMENTS: dict[str, dict[str, Any]] = {
    **HIDDEN,
    **OF_CLOUD,
    "name": {"type": "str", "required": True},
    "owner": OWNER,
    "location": {"type": "str", "default": ""},
    "tags": {"type": "dict", "default": {}},
    "gone": {"type": "list", "elements": "str", "default": []},
    "state": STATE,
}


def ensure(params: dict[str, Any], plan: Ledger) -> dict[str, Any]:
    """Bring the group to its state."""
    azure, name, owner = Azure(params, plan.progress), params["name"], params["owner"]
    if params["state"] == "present":
        tags = naming.marked(params["tags"], owner)
        group.ensure_present(azure, plan, name, params["location"], tags, moves=False)
    else:
        group.ensure_absent(azure, plan, name, owner, {*params["gone"]})
    return {}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), ensure, "Azure")


if __name__ == "__main__":
    main()
