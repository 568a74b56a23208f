#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Look at who owns a deployment's storage and identity on Azure, before anything is changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_storage_info
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Look at a deployment's storage and identity on Azure
description:
  - Reads the resource group, the storage account, its container, the managed identity, its federated credential and its
    role assignment, and refuses what another deployment owns. Returns the derived names, and which of the role's tasks
    have something to do.
  - Everything carries the tag C(nebari-mlflow-owner). What carries another owner's is refused.
extends_documentation_fragment:
  - nebari.mlflow.cloud.look
  - nebari.mlflow.cloud.account
  - nebari.mlflow.cloud.azure
options:
  project:
    description: Name of the project. With O(namespace), O(subscription_id) and O(resource_group), it makes the names.
    type: str
    required: true
  resource_group:
    description: Resource group of everything. One that does not exist is created, if O(location) is given.
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
  tags:
    description: More tags for everything that is created.
    type: dict
    default: {}
  adopt:
    description: Existing account of this group to adopt if the default account does not exist. It is never deleted.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: See who owns what
  nebari.mlflow.azure_storage_info:
    project: demo
    namespace: dev
    subscription_id: 00000000-0000-0000-0000-000000000000
    resource_group: demo-dev
    oidc_issuer_url: https://westeurope.oic.prod-aks.azure.com/TENANT/CLUSTER/
  register: found
"""

RETURN = r"""
owner:
  description: Mark of the deployment.
  returned: success
  type: str
  sample: demo-0a1b2c3d
tags:
  description: Tags of everything, the mark among them.
  returned: success
  type: dict
  sample: {project: demo, namespace: dev, managed-by: nebari-mlflow, nebari-mlflow-owner: demo-0a1b2c3d}
location:
  description: Where the account and the identity are, or are to be created.
  returned: success
  type: str
  sample: westeurope
account:
  description:
    - The storage account. C(stays) says whether it remains, which with O(delete_data) depends on what other people keep
      in it.
  returned: success
  type: dict
  sample: {name: demomlflow0a1b2c3d, adopted: false, stays: true}
container_id:
  description: Resource id of the container.
  returned: success
  type: str
identity:
  description: The managed identity, with placeholders for the ids of one that does not exist.
  returned: success
  type: dict
  contains:
    name: {description: Name of the identity., type: str, returned: success}
    id: {description: Resource id., type: str, returned: success}
    client_id: {description: Client id., type: str, returned: success}
    principal_id: {description: Object id of its service principal., type: str, returned: success}
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
  description: What the role's tasks would change with O(state=present), in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: update, kind: storage account, name: demomlflow0a1b2c3d, fields: [minimum_tls]}
due:
  description: The objects whose task has something to do with O(state=present).
  returned: success
  type: list
  elements: str
  sample: [group, account, container, identity, credential, assignment]
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
from ansible_collections.nebari.mlflow.plugins.module_utils.azure import network
from ansible_collections.nebari.mlflow.plugins.module_utils.azure.credentials import OF_CLOUD
from ansible_collections.nebari.mlflow.plugins.module_utils.azure.survey import look
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry import LOOK, run_module

ARGUMENTS: dict[str, dict[str, Any]] = {
    **LOOK,
    **OF_CLOUD,
    "resource_group": {"type": "str", "required": True},
    "location": {"type": "str", "default": ""},
    "oidc_issuer_url": {"type": "str", "default": ""},
    "replication": {"type": "str", "choices": ["", "LRS", "ZRS", "GRS", "RAGRS", "GZRS", "RAGZRS"], "default": ""},
    "network_rules": network.OPTION,
    "tags": {"type": "dict", "default": {}},
}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), look, "Azure")


if __name__ == "__main__":
    main()
