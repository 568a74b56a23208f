#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ensure that a Kubernetes service account takes a role by EKS Pod Identity."""

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_pod_identity
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Ensure an EKS Pod Identity association
description:
  - Associates the Kubernetes service account C(nebari-mlflow) of one namespace with a role. The cluster needs the Pod
    Identity add-on.
  - Reads before it writes, so a second run makes no write call. An association that gives another role and does not
    carry the mark O(owner) is refused, and one that gives another role is never removed.
extends_documentation_fragment:
  - nebari.mlflow.cloud.resource
  - nebari.mlflow.cloud.owned
  - nebari.mlflow.cloud.aws
options:
  cluster_name:
    description: Name of the EKS cluster.
    type: str
    required: true
  namespace:
    description: Kubernetes namespace of the service account.
    type: str
    required: true
  role_arn:
    description: ARN of the role.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Ensure that the server takes the role
  nebari.mlflow.aws_pod_identity:
    cluster_name: demo
    namespace: dev
    role_arn: arn:aws:iam::111122223333:role/demo-mlflow
    owner: demo
    region: eu-west-1
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: create, kind: Pod Identity association, name: demo/dev/nebari-mlflow}
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
from ansible_collections.nebari.mlflow.plugins.module_utils.aws import pod_identity
from ansible_collections.nebari.mlflow.plugins.module_utils.aws.client import Aws
from ansible_collections.nebari.mlflow.plugins.module_utils.aws.credentials import OF_CLOUD
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud import naming
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry import HIDDEN, OWNER, STATE, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.ledger import Ledger

ARGUMENTS: dict[str, dict[str, Any]] = {
    **HIDDEN,
    **OF_CLOUD,
    "cluster_name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "role_arn": {"type": "str", "required": True},
    "owner": OWNER,
    "tags": {"type": "dict", "default": {}},
    "state": STATE,
}


def ensure(params: dict[str, Any], plan: Ledger) -> dict[str, Any]:
    """Bring the association to its state."""
    aws = Aws(params, plan.progress)
    cluster, namespace, role_arn, owner = (params[name] for name in ("cluster_name", "namespace", "role_arn", "owner"))
    if params["state"] == "present":
        found = pod_identity.find(aws, cluster, namespace)
        pod_identity.check_owner(found, cluster, namespace, role_arn, owner)
        tags = naming.marked(params["tags"], owner)
        pod_identity.ensure_present(aws, plan, cluster, namespace, found, role_arn, tags)
    else:
        pod_identity.ensure_absent(aws, plan, cluster, namespace, role_arn)
    return {}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), ensure, "AWS")


if __name__ == "__main__":
    main()
