# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The frame of the modules that work on a release: the same hidden options, the same result, the same failure."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..errors import ReleaseError
from ..kube import access
from ..supervise.process import Process
from ..supervise.progress import Progress
from ..supervise.signals import install
from ..visible import visible
from .changes import Outcome, diff
from .options import Options
from .session import Session

HIDDEN: dict[str, dict[str, Any]] = {"_progress": {"type": "path"}, "_controller": {"type": "str"}}
SECRETS: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "no_log": False,
    "options": {
        "name": {"type": "str", "required": True},
        "keys": {"type": "dict", "required": True, "no_log": False},
        "opens": {"type": "str", "default": ""},
        "loss": {"type": "str", "default": ""},
    },
}

Ensure = Callable[..., Outcome]


def run_module(
    module: AnsibleModule, ensure: Ensure, fields: Callable[[Outcome], dict[str, Any]], *, with_helm: bool
) -> None:
    """Run a module to its end; every failure has `code`, `cause` and `fix`."""
    access.hide(module)
    params = {**module.params}
    progress = Progress(
        params["_progress"], str(params.get("name") or params.get("release")), params.get("waited") or 0.0
    )
    try:
        params["kubeconfig"], params["context"] = access.settle(params, os.environ)
        options = Options.from_params(params)
        controller = Process.parse(params["_controller"] or "")
        install(controller)
        session = Session.open(options, progress, controller, with_helm=with_helm)
        outcome = ensure(session, check_mode=module.check_mode)
    except ReleaseError as error:
        module.fail_json(**error.report(), elapsed=round(progress.elapsed(), 1))
    for warning in outcome.warnings:
        module.warn(visible(warning))
    module.exit_json(
        changed=bool(outcome.changes),
        changes=[change.report() for change in outcome.changes],
        diff=diff(outcome.changes),
        elapsed=round(progress.elapsed(), 1),
        **fields(outcome),
    )


def of_release(outcome: Outcome) -> dict[str, Any]:
    """Return what is known of the release."""
    record = outcome.record
    return {
        "revision": record.revision if record else 0,
        "status": record.status if record else "absent",
        "ready": outcome.ready,
        "verified": outcome.verified,
    }
