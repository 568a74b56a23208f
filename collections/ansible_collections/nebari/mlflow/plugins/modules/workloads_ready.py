#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Wait until the workloads of a Helm release are ready."""

from __future__ import annotations

DOCUMENTATION = r"""
module: workloads_ready
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Wait until the workloads of a Helm release are ready
description:
  - Waits for the Deployments, StatefulSets, DaemonSets and Jobs of the newest revision, and shows what it waits for.
  - Stops early, with the cause and the fix, if waiting cannot help, for example if an image does not exist.
extends_documentation_fragment:
  - nebari.mlflow.cluster
  - nebari.mlflow.cluster.release
options:
  timeout:
    description: Seconds to wait.
    type: int
    default: 600
  waited:
    description: Seconds that earlier tasks of the same deploy took. The times that are shown go on from there.
    type: float
    default: 0
attributes:
  check_mode:
    description: Looks once and does not wait.
    support: full
  diff_mode:
    description: Nothing is changed.
    support: none
"""

EXAMPLES = r"""
- name: Wait for the release
  nebari.mlflow.workloads_ready:
    name: demo
    namespace: dev
    timeout: 300
"""

RETURN = r"""
changes:
  description: Always empty.
  returned: success
  type: list
  elements: dict
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
from ansible_collections.nebari.mlflow.plugins.module_utils.release.tested import ensure_ready

ARGUMENTS: dict[str, dict[str, Any]] = {
    **access.ARGUMENTS,
    **HIDDEN,
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "timeout": {"type": "int", "default": 600},
    "waited": {"type": "float", "default": 0},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run_module(module, ensure_ready, of_release, with_helm=False)


if __name__ == "__main__":
    main()
