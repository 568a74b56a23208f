#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Make an earlier revision of a Helm release the newest one again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: helm_rollback
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Make an earlier revision of a Helm release the newest one again
description:
  - Runs C(helm rollback) unless the newest revision is deployed and has the chart, the values and the manifest of
    O(revision).
  - A revision that was left pending is taken up first, as M(nebari.mlflow.helm_release) does.
  - Does not wait for pods. M(nebari.mlflow.workloads_ready) does.
  - Takes turns with other deploys of the release by the Lease of M(nebari.mlflow.helm_release).
requirements:
  - helm >= 3.15, < 4
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
  revision:
    description: Helm's number of the revision.
    type: int
    required: true
  helm:
    description: The Helm program, a name found on E(PATH) or a path.
    type: str
    default: helm
  timeout:
    description: Seconds that Helm may take.
    type: int
    default: 600
attributes:
  check_mode:
    description: Says whether a rollback is needed.
    support: full
  diff_mode:
    description: The revisions of a release are Helm's; C(helm diff) compares them.
    support: none
"""

EXAMPLES = r"""
- name: Go back to the revision before
  nebari.mlflow.helm_rollback:
    name: demo
    namespace: dev
    revision: 3
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: update, kind: Release, name: demo, namespace: dev, fields: [revision]}
revision:
  description: Helm's newest revision.
  returned: success
  type: int
status:
  description: Helm's status of that revision.
  returned: success
  type: str
ready:
  description: Always false, because the pods are not waited for.
  returned: success
  type: bool
verified:
  description: Whether the chart's tests have passed for that revision.
  returned: success
  type: bool
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
from ansible_collections.nebari.mlflow.plugins.module_utils.release.frame import HIDDEN, of_release, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.release.rollback import ensure_rolled_back

ARGUMENTS: dict[str, dict[str, Any]] = {
    **access.ARGUMENTS,
    **HIDDEN,
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "revision": {"type": "int", "required": True},
    "helm": {"type": "str", "default": "helm"},
    "timeout": {"type": "int", "default": 600},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run_module(module, ensure_rolled_back, of_release, with_helm=True)


if __name__ == "__main__":
    main()
