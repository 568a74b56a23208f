#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Run a Helm release's own tests, once for each revision."""

from __future__ import annotations

DOCUMENTATION = r"""
module: helm_test
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Run a Helm release's own tests, once for each revision
description:
  - Runs C(helm test) unless the tests of the newest revision have passed. Helm notes the result in the release record.
  - Waits for the workloads first. A first install is tested while it comes up, because no older pod could answer.
  - Takes turns with other deploys of the release by the Lease of M(nebari.mlflow.helm_release).
  - Shows what the tests wait for, and their last lines if they fail.
requirements:
  - helm >= 3.15, < 4
extends_documentation_fragment:
  - nebari.mlflow.cluster
  - nebari.mlflow.cluster.release
options:
  helm:
    description: The Helm program, a name found on E(PATH) or a path.
    type: str
    default: helm
  timeout:
    description: Seconds to wait for the workloads and the tests together. The tests get O(verify_timeout) in any case.
    type: int
    default: 600
  waited:
    description: Seconds that earlier tasks of the same deploy took. The times that are shown go on from there.
    type: float
    default: 0
  verify_timeout:
    description:
      - Seconds that the tests get at least, even if O(timeout) leaves them less.
      - Cloud IAM grants can take up to ten minutes to propagate; the tests wait for them.
    type: int
    default: 60
  assume_changed:
    description: Whether check mode shall assume that a deploy before this task changed the release.
    type: bool
    default: false
  again:
    description: Whether to run the tests even if they passed for that revision, after its data were replaced.
    type: bool
    default: false
attributes:
  check_mode:
    description: Says whether the tests would run.
    support: full
  diff_mode:
    description: Nothing but the release record is changed.
    support: none
"""

EXAMPLES = r"""
- name: Run the smoke test
  nebari.mlflow.helm_test:
    name: demo
    namespace: dev
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: verify, kind: Release, name: demo, namespace: dev}
revision:
  description: Helm's newest revision, 0 if there is none.
  returned: success
  type: int
status:
  description: Helm's status of that revision, V(absent) if there is none.
  returned: success
  type: str
ready:
  description: Whether all workloads of that revision are ready.
  returned: success
  type: bool
verified:
  description: Whether the chart's tests have passed for that revision. True for a chart without tests.
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
from ansible_collections.nebari.mlflow.plugins.module_utils.release.tested import ensure_tested

ARGUMENTS: dict[str, dict[str, Any]] = {
    **access.ARGUMENTS,
    **HIDDEN,
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "helm": {"type": "str", "default": "helm"},
    "timeout": {"type": "int", "default": 600},
    "waited": {"type": "float", "default": 0},
    "verify_timeout": {"type": "int", "default": 60},
    "assume_changed": {"type": "bool", "default": False},
    "again": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run_module(module, ensure_tested, of_release, with_helm=True)


if __name__ == "__main__":
    main()
