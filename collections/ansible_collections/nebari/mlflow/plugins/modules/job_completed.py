#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Wait until a Job is complete."""

from __future__ import annotations

DOCUMENTATION = r"""
module: job_completed
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Wait until a Job is complete, and return its result
description:
  - Shows the last line of the Job's log while it waits, and returns the JSON object that its container left as its
    termination message.
  - Stops early, with the cause and the fix, if the Job's pod cannot start.
extends_documentation_fragment: nebari.mlflow.cluster
options:
  name:
    description: Name of the Job.
    type: str
    required: true
  namespace:
    description: Namespace of the Job.
    type: str
    required: true
  container:
    description: Container whose log is shown and whose termination message is returned.
    type: str
    required: true
  timeout:
    description: Seconds to wait. The Job goes on after that.
    type: int
    default: 600
  lease:
    description: Release whose Lease this play holds, to renew it meanwhile. See M(nebari.mlflow.release_lease).
    type: str
    default: ""
attributes:
  check_mode:
    description: Does not wait.
    support: full
  diff_mode:
    description: Nothing is changed.
    support: none
"""

EXAMPLES = r"""
- name: Wait for the backup
  nebari.mlflow.job_completed:
    name: demo-mlflow-backup-20260102030405
    namespace: dev
    container: backup
    timeout: 3600
"""

RETURN = r"""
result:
  description: The container's termination message, if it is a JSON object. Its C(warnings) are shown as such.
  returned: success
  type: dict
elapsed:
  description: Seconds that the module ran.
  returned: always
  type: float
code:
  description: Code of the page that is about this failure, such as V(NML431).
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

import os
from contextlib import nullcontext
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.health import job
from ansible_collections.nebari.mlflow.plugins.module_utils.kube import access
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.api import Api
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.kubeconfig import check_owner
from ansible_collections.nebari.mlflow.plugins.module_utils.release.frame import HIDDEN
from ansible_collections.nebari.mlflow.plugins.module_utils.release.lease import Holder, Lease
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.process import Process
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.progress import Progress
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.signals import install
from ansible_collections.nebari.mlflow.plugins.module_utils.visible import visible

ARGUMENTS: dict[str, dict[str, Any]] = {
    **access.ARGUMENTS,
    **HIDDEN,
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "container": {"type": "str", "required": True},
    "timeout": {"type": "int", "default": 600},
    "lease": {"type": "str", "default": ""},
}


def run(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Wait for the Job and return its result."""
    kubeconfig, context = access.settle(params, os.environ)
    check_owner(kubeconfig)
    controller = Process.parse(params["_controller"] or "")
    install(controller)
    api, namespace = Api(kubeconfig, context), params["namespace"]
    lease = Lease(api, params["lease"], namespace, progress, Holder.here(controller, of_play=True))
    with lease if params["lease"] and lease.goes_on() else nullcontext():
        return job.follow(api, namespace, params["name"], params["container"], progress, params["timeout"])


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    access.hide(module)
    progress = Progress(module.params["_progress"], module.params["name"])
    try:
        result = {} if module.check_mode else run(module.params, progress)
    except ReleaseError as error:
        module.fail_json(**error.report(), elapsed=round(progress.elapsed(), 1))
    for warning in result.get("warnings") or []:
        module.warn(visible(str(warning)))
    module.exit_json(changed=False, result=result, elapsed=round(progress.elapsed(), 1))


if __name__ == "__main__":
    main()
