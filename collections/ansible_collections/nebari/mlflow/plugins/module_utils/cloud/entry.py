# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The frame of every cloud module: the same hidden parameters, the same result, the same failure."""

from __future__ import annotations

import os
from collections.abc import Callable, MutableMapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..errors import ReleaseError
from ..supervise.process import Process
from ..supervise.progress import Progress
from ..supervise.signals import install
from .ledger import Ledger

# The two options that the action plugin gives to every module.
HIDDEN: dict[str, dict[str, Any]] = {"_progress": {"type": "path"}, "_controller": {"type": "str"}}
STATE: dict[str, Any] = {"type": "str", "choices": ["present", "absent"], "default": "present"}
OWNER: dict[str, Any] = {"type": "str", "required": True}
# What every module has that looks at a deployment's storage and identity.
LOOK: dict[str, dict[str, Any]] = {
    **HIDDEN,
    "project": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "adopt": {"type": "str", "default": ""},
    "state": STATE,
    "delete_data": {"type": "bool", "default": False},
}

Ensure = Callable[[dict[str, Any], Ledger], dict[str, Any]]


def run(ensure: Ensure, params: dict[str, Any], check: bool, progress: Progress) -> dict[str, Any]:
    """Bring the object to its state, and return the module's result."""
    plan = Ledger(check, progress)
    returned = ensure(params, plan)
    return {**plan.result(), **returned, "elapsed": round(progress.elapsed(), 1)}


def trust(environ: MutableMapping[str, str]) -> None:
    """Let the clouds' libraries trust what SSL_CERT_FILE names, as Helm does. Each has a variable of its own."""
    if bundle := environ.get("SSL_CERT_FILE"):
        environ.setdefault("AWS_CA_BUNDLE", environ.get("REQUESTS_CA_BUNDLE", bundle))
        if "CURL_CA_BUNDLE" not in environ:
            environ.setdefault("REQUESTS_CA_BUNDLE", bundle)


def run_module(module: AnsibleModule, ensure: Ensure, cloud: str) -> None:
    """Run the module to its end; every failure has `code`, `cause` and `fix`."""
    params = module.params
    trust(os.environ)
    install(Process.parse(params["_controller"] or ""))
    progress = Progress(params["_progress"], cloud)
    try:
        result = run(ensure, params, module.check_mode, progress)
    except ReleaseError as error:
        module.fail_json(**error.report(), elapsed=round(progress.elapsed(), 1))
    module.exit_json(**result)
