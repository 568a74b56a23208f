"""The verbs, free of Nebari: each is one playbook with one set of variables, shown as it goes."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .. import helm, names
from . import workspace
from .kubeconfig import private_copy
from .runner import Result, run
from .view import Progress, make_console

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

SPARE = 600  # seconds beyond twice the deploy's own limit, until the whole run is ended
JOBS = 21_600  # seconds more for the backup of an upgrade: backup.timeoutSeconds in the chart
NOISY = ("ansible_runner", "kubernetes", "urllib3", "botocore", "boto3", "azure", "google", "msal")


def hush() -> None:
    """Keep libraries that log the bodies of requests below debug: `nebari --log-level debug` sets the root logger."""
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.INFO)


def execute(
    playbook: str,
    variables: Mapping[str, Any],
    *,
    check: bool = False,
    console: Console | None = None,
    provider: str = "",
    unlimited: bool = False,
) -> Result:
    """Run one playbook, with a private copy of the kubeconfig if one is named."""
    hush()
    variables = dict(variables)
    with ExitStack() as stack:
        if variables.get("mlflow_kubeconfig"):
            folder = stack.enter_context(workspace.private_folder())
            variables["mlflow_kubeconfig"] = str(private_copy(variables["mlflow_kubeconfig"], folder))
        if not variables.get("mlflow_helm") and (chosen := helm.choose()):
            variables["mlflow_helm"] = chosen
        progress = stack.enter_context(Progress(console or make_console()))
        return run(
            playbook,
            variables,
            name=names.release(str(variables["mlflow_project_name"])),
            provider=provider or str(variables["mlflow_provider"]),
            check=check,
            deadline=None if unlimited else 2 * int(variables.get("mlflow_timeout", 600)) + SPARE + JOBS,
            on_event=progress,
        )
