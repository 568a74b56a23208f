#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ensure that one Kubernetes service account can be a managed identity."""

from __future__ import annotations

DOCUMENTATION = r"""
module: azure_federated_credential
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Ensure the federated credential of a managed identity
description:
  - Lets the Kubernetes service account C(nebari-mlflow) of one namespace of one cluster be a managed identity.
  - Reads before it writes, so a second run makes no write call. The credential is named C(nebari-mlflow); others stay.
extends_documentation_fragment:
  - nebari.mlflow.cloud.resource
  - nebari.mlflow.cloud.azure
options:
  identity:
    description: Name of the managed identity.
    type: str
    required: true
  namespace:
    description: Kubernetes namespace of the service account. Required with O(state=present).
    type: str
    default: ""
  oidc_issuer_url:
    description: The cluster's OIDC issuer. Required with O(state=present).
    type: str
    default: ""
  resource_group:
    description: Name of the resource group.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Let the server's pods be the identity
  nebari.mlflow.azure_federated_credential:
    identity: demo-mlflow
    subscription_id: 00000000-0000-0000-0000-000000000000
    resource_group: demo-dev
    namespace: dev
    oidc_issuer_url: https://westeurope.oic.prod-aks.azure.com/TENANT/CLUSTER/
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: update, kind: federated credential, name: nebari-mlflow, fields: [subject]}
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
    "resource_group": {"type": "str", "required": True},
    "identity": {"type": "str", "required": True},
    "namespace": {"type": "str", "default": ""},
    "oidc_issuer_url": {"type": "str", "default": ""},
    "state": STATE,
}
RULES: dict[str, Any] = {"required_if": [("state", "present", ("namespace", "oidc_issuer_url"))]}


def ensure(params: dict[str, Any], plan: Ledger) -> dict[str, Any]:
    """Bring the credential to its state."""
    azure = Azure(params, plan.progress)
    path = identity.id_of(azure, params["resource_group"], params["identity"])
    if params["state"] == "present":
        identity.ensure_credential(azure, plan, path, True, params["oidc_issuer_url"], params["namespace"])
    else:
        identity.ensure_credential_absent(azure, plan, path)
    return {}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **RULES), ensure, "Azure")


if __name__ == "__main__":
    main()
