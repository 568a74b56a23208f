#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ensure the private blob container for the artifacts."""

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_storage_container
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Ensure the blob container C(nebari-mlflow) of a storage account
description:
  - Creates the container C(nebari-mlflow), and closes it again if it was opened to the public.
  - Reads before it writes, so a second run makes no write call.
extends_documentation_fragment:
  - nebari.mlflow.cloud.resource
  - nebari.mlflow.cloud.azure
options:
  account:
    description: Name of the storage account.
    type: str
    required: true
  delete_data:
    description:
      - With O(state=absent), whether to delete the container. Without it, the container stays.
      - A container that holds other blobs than those below C(artifacts/), or that a legal hold or an immutability
        policy protects, stays.
    type: bool
    default: false
  resource_group:
    description: Name of the resource group.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Ensure the container
  nebari.mlflow.azure_storage_container:
    account: demomlflow
    subscription_id: 00000000-0000-0000-0000-000000000000
    resource_group: demo-dev
"""

RETURN = r"""
id:
  description: Resource id of the container.
  returned: success
  type: str
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: create, kind: blob container, name: nebari-mlflow}
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
from ansible_collections.nebari.mlflow.plugins.module_utils.azure import account, container
from ansible_collections.nebari.mlflow.plugins.module_utils.azure.client import Azure
from ansible_collections.nebari.mlflow.plugins.module_utils.azure.credentials import OF_CLOUD
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry import HIDDEN, STATE, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.ledger import Ledger

ARGUMENTS: dict[str, dict[str, Any]] = {
    **HIDDEN,
    **OF_CLOUD,
    "resource_group": {"type": "str", "required": True},
    "account": {"type": "str", "required": True},
    "delete_data": {"type": "bool", "default": False},
    "state": STATE,
}


def ensure(params: dict[str, Any], plan: Ledger) -> dict[str, Any]:
    """Bring the container to its state."""
    azure = Azure(params, plan.progress)
    within = account.Account(azure, params["resource_group"], params["account"])
    if params["state"] == "present":
        container.ensure_present(plan, within, exists=True)
    elif params["delete_data"]:
        container.ensure_absent(plan, within)
    elif container.find(within) is not None:
        plan.keep(container.KIND, container.NAME)
    return {"id": container.id_of(within)}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), ensure, "Azure")


if __name__ == "__main__":
    main()
