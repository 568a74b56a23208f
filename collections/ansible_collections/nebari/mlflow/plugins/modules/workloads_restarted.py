#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Restart the workloads of a Helm release that use changed Secrets."""

from __future__ import annotations

DOCUMENTATION = r"""
module: workloads_restarted
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Restart what uses changed Secrets, and wait until no old pod is left
description:
  - Restarts each Deployment and DaemonSet of the newest revision that uses one of the Secrets and has a pod that is
    older than the Secret's last change. Databases, which are StatefulSets, are left alone.
  - Waits until the new pods are ready and the old ones have ended, because a pod that is ending still answers.
extends_documentation_fragment: nebari.mlflow.cluster
options:
  name:
    description: Name of the release.
    type: str
    required: true
  namespace:
    description: Namespace of the release.
    type: str
    required: true
  of_secrets:
    description: Names of the Secrets.
    type: list
    elements: str
    required: true
  rolling_only:
    description: Whether to leave Deployments alone that stop all pods before new ones start (strategy C(Recreate)).
    type: bool
    default: false
  assume_changed:
    description: Whether check mode shall assume that a task before this one changed the Secrets.
    type: bool
    default: false
  timeout:
    description: Seconds to wait.
    type: int
    default: 600
attributes:
  check_mode:
    description: Says what would be restarted.
    support: full
  diff_mode:
    description: Shows the mark that restarts the pods.
    support: full
"""

EXAMPLES = r"""
- name: Restart what uses the Secret
  nebari.mlflow.workloads_restarted:
    name: demo
    namespace: dev
    of_secrets: [demo-database]
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - action: update
      kind: Deployment
      name: demo-tracking
      namespace: dev
      fields: [spec.template.metadata.annotations.mlflow.nebari.dev/renewed-at]
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
from ansible_collections.nebari.mlflow.plugins.module_utils.kube import access
from ansible_collections.nebari.mlflow.plugins.module_utils.release.frame import HIDDEN, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.release.restarted import ensure_restarted

ARGUMENTS: dict[str, dict[str, Any]] = {
    **access.ARGUMENTS,
    **HIDDEN,
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "of_secrets": {"type": "list", "elements": "str", "no_log": False, "required": True},
    "rolling_only": {"type": "bool", "default": False},
    "assume_changed": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 600},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run_module(module, ensure_restarted, lambda _: {}, with_helm=False)


if __name__ == "__main__":
    main()
