#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ensure a storage account without keys or public access, marked by its owner."""

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_storage_account
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Ensure an Azure storage account without keys or public access
description:
  - Creates and repairs a storage account with TLS 1.2, without shared keys or public access, whose blob service keeps
    versions and what was deleted for at least seven days.
  - Reads before it writes and patches only what differs, so a second run makes no write call. Tags, network rules, CORS
    and lifecycle that other people set stay. An account with another owner's tag is refused.
  - Unlike C(azure.azcollection.azure_rm_storageaccount), it never takes a refused read for a missing account.
extends_documentation_fragment:
  - nebari.mlflow.cloud.resource
  - nebari.mlflow.cloud.owned
  - nebari.mlflow.cloud.account
  - nebari.mlflow.cloud.azure
options:
  name:
    description: Name of the account. It is globally unique, which is checked before anything is created.
    type: str
    required: true
  location:
    description: Where the account is. Required with O(state=present).
    type: str
    default: ""
  adopted:
    description: Whether the account was there before the deployment, which never deletes it then.
    type: bool
    default: false
  delete_data:
    description:
      - With O(state=absent), whether to delete the account. Without it, the account stays.
      - An account that was adopted, or in which other people keep anything, stays.
      - The data cannot be brought back.
    type: bool
    default: false
  resource_group:
    description: Name of the resource group.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Ensure the storage account
  nebari.mlflow.azure_storage_account:
    name: demomlflow
    owner: demo
    subscription_id: 00000000-0000-0000-0000-000000000000
    resource_group: demo-dev
    location: westeurope
"""

RETURN = r"""
id:
  description: Resource id of the account.
  returned: success
  type: str
gone:
  description: Whether the account does not exist, or with O(state=absent) was or would be deleted.
  returned: success
  type: bool
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: update, kind: storage account, name: demomlflow, fields: [minimum_tls]}
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
from ansible_collections.nebari.mlflow.plugins.module_utils.azure import account, container, network
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
    "replication": {"type": "str", "choices": ["", "LRS", "ZRS", "GRS", "RAGRS", "GZRS", "RAGZRS"], "default": ""},
    "network_rules": network.OPTION,
    "tags": {"type": "dict", "default": {}},
    "adopted": {"type": "bool", "default": False},
    "delete_data": {"type": "bool", "default": False},
    "state": STATE,
}
RULES: dict[str, Any] = {"required_if": [("state", "present", ("location",))]}


def ensure(params: dict[str, Any], plan: Ledger) -> dict[str, Any]:
    """Bring the account, with its blob service, to its state."""
    azure, owner = Azure(params, plan.progress), params["owner"]
    named = account.Account(azure, params["resource_group"], params["name"])
    found = named.read()
    if params["state"] == "present":
        tags = naming.marked(params["tags"], owner)
        there = account.ensure_present(
            plan, named, found, tags, params["location"], params["replication"], params["network_rules"]
        )
        container.ensure_service(plan, named, there)
        return {"id": named.id, "gone": False}
    account.check_owner(named, found, owner)
    if found is None:
        return {"id": named.id, "gone": True}
    reason = container.why_account_stays(named, params["adopted"]) if params["delete_data"] else ""
    gone = params["delete_data"] and not reason
    if gone:
        plan.delete(account.KIND, named.name, named.delete)
    else:
        plan.keep(account.KIND, named.name, reason)
    return {"id": named.id, "gone": gone}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **RULES), ensure, "Azure")


if __name__ == "__main__":
    main()
