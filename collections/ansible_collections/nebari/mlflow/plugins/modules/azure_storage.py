#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Keep a blob container for artifacts and an identity that one Kubernetes service account has."""

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_storage
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Keep an Azure blob container and a keyless identity that may use it
description:
  - Creates and repairs a storage account without keys or public access, the container C(nebari-mlflow) in it, a
    managed identity, the federated credential of one Kubernetes service account, and the right on the container.
  - Reads before it writes and patches only what differs, so a second run makes no write call. Tags, network rules, CORS
    and lifecycle that others made stay.
  - Everything carries the tag C(nebari-mlflow-owner). What carries another owner's is refused.
notes:
  - Credentials are a service principal from E(ARM_CLIENT_ID), E(ARM_CLIENT_SECRET), E(ARM_TENANT_ID), or what
    azure-identity finds, such as C(az login) or a managed identity.
extends_documentation_fragment: nebari.mlflow.cloud
requirements:
  - azure-identity >= 1.16.1
  - azure-mgmt-core >= 1.4
options:
  project:
    description: Name of the project. With O(namespace), O(subscription_id) and O(resource_group), it makes the names.
    type: str
    required: true
  subscription_id:
    description: Id of the subscription. Without it, E(ARM_SUBSCRIPTION_ID) or E(AZURE_SUBSCRIPTION_ID) is taken.
    type: str
  resource_group:
    description: Resource group of everything. One that does not exist is made, if O(location) is given.
    type: str
    required: true
  location:
    description: Where the account and the identity are. Empty is where the group is.
    type: str
    default: ""
  oidc_issuer_url:
    description: The cluster's OIDC issuer. Required with O(state=present).
    type: str
    default: ""
  replication:
    description: How the account is replicated. Empty is V(LRS) for a new one, and leaves one that exists as it is.
    type: str
    choices: ["", LRS, ZRS, GRS, RAGRS, GZRS, RAGZRS]
    default: ""
  network_rules:
    description: Who reaches the account. Without it, that stays as it is; a new one is open to all who have a right.
    type: dict
    suboptions:
      default_action:
        description: What happens to everybody else.
        type: str
        choices: [Allow, Deny]
        default: Deny
      bypass:
        description: Services that are let in, as Azure writes them.
        type: str
        default: AzureServices
      ip_rules:
        description: Public IPv4 addresses and ranges to let in. Those that others let in stay.
        type: list
        elements: str
        default: []
      subnet_ids:
        description: Subnets to let in, by their ids. Those that others let in stay.
        type: list
        elements: str
        default: []
  tags:
    description: More tags for everything that is created.
    type: dict
    default: {}
  adopt:
    description: Existing account of this group to adopt if the default account does not exist. It is never deleted.
    type: str
    default: ""
  delete_data:
    description:
      - With O(state=absent), also delete the account, and the resource group if this module created it and it is empty.
      - If other people keep anything in the account, only our container is deleted.
      - An account that was adopted stays.
      - The data cannot be brought back.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Keep a container and an identity for an AKS cluster
  nebari.mlflow.azure_storage:
    project: demo
    namespace: dev
    subscription_id: 00000000-0000-0000-0000-000000000000
    resource_group: demo-dev
    oidc_issuer_url: https://westeurope.oic.prod-aks.azure.com/TENANT/CLUSTER/

- name: Remove the identity, keep the account
  nebari.mlflow.azure_storage:
    project: demo
    namespace: dev
    subscription_id: 00000000-0000-0000-0000-000000000000
    resource_group: demo-dev
    state: absent
"""

RETURN = r"""
storage:
  description: Where artifacts live and what a pod needs to reach them, in the shape that every provider role returns.
  returned: success
  type: dict
  sample:
    uri: wasbs://nebari-mlflow@demomlflow0a1b2c3d.blob.core.windows.net/artifacts
    env: {}
    secret: ""
    service_account_annotations: {azure.workload.identity/client-id: 00000000-0000-0000-0000-000000000000}
    pod_labels: {azure.workload.identity/use: "true"}
    volume: {}
    network: {metadata: []}
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: update, kind: storage account, name: demomlflow0a1b2c3d, fields: [minimum_tls]}
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

from ansible.module_utils.basic import AnsibleModule, env_fallback
from ansible_collections.nebari.mlflow.plugins.module_utils.azure.storage import converge
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry import COMMON, run_module

ARGUMENTS: dict[str, dict[str, Any]] = {
    **COMMON,
    "subscription_id": {"type": "str", "fallback": (env_fallback, ["ARM_SUBSCRIPTION_ID", "AZURE_SUBSCRIPTION_ID"])},
    "resource_group": {"type": "str", "required": True},
    "location": {"type": "str", "default": ""},
    "oidc_issuer_url": {"type": "str", "default": ""},
    "replication": {"type": "str", "choices": ["", "LRS", "ZRS", "GRS", "RAGRS", "GZRS", "RAGZRS"], "default": ""},
    "network_rules": {
        "type": "dict",
        "options": {
            "default_action": {"type": "str", "choices": ["Allow", "Deny"], "default": "Deny"},
            "bypass": {"type": "str", "default": "AzureServices"},
            "ip_rules": {"type": "list", "elements": "str", "default": []},
            "subnet_ids": {"type": "list", "elements": "str", "default": []},
        },
    },
    "tags": {"type": "dict", "default": {}},
}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), converge)


if __name__ == "__main__":
    main()
