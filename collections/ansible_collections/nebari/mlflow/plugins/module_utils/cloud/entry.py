# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The frame of every cloud module: the same hidden parameters, the same result, the same failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..exceptions import ReleaseError
from ..guard import install
from ..process import Process
from ..progress import Progress
from .plan import Plan

# Options that every cloud module has, and the two that its action plugin gives.
COMMON: dict[str, dict[str, Any]] = {
    "project": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "adopt": {"type": "str", "default": ""},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "delete_data": {"type": "bool", "default": False},
    "_progress": {"type": "path"},
    "_controller": {"type": "str"},
}

Converge = Callable[[dict[str, Any], Plan], dict[str, Any]]


def run(converge: Converge, params: dict[str, Any], check: bool, progress: Progress) -> dict[str, Any]:
    """Converge, and return the module's result."""
    plan = Plan(check, progress)
    storage = converge(params, plan)
    return {**plan.result(), "storage": storage, "elapsed": round(progress.elapsed(), 1)}


def run_module(module: AnsibleModule, converge: Converge) -> None:
    """Run the module to its end; every failure is `cause` and `fix`."""
    params = module.params
    controller = Process.parse(params["_controller"] or "")
    install(controller)
    progress = Progress(params["_progress"], params["project"])
    try:
        result = run(converge, params, module.check_mode, progress)
    except ReleaseError as error:
        module.fail_json(**error.report(), elapsed=round(progress.elapsed(), 1))
    module.exit_json(**result)
