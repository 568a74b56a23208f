"""Prove that MLflow works by using it, with the chart's own test pod and the server's real service account."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError

from ..errors import ClusterError, PlayError
from . import cluster

if TYPE_CHECKING:
    from .context import Target

LIMIT = 300  # seconds


def use(target: Target) -> dict[str, Any]:
    """Run the chart's tests and return what the test pod found."""
    from ansible_collections.nebari.mlflow.plugins.module_utils.release.helm import Helm, HelmError
    from ansible_collections.nebari.mlflow.plugins.module_utils.release.options import Options

    options = Options(name=target.release, namespace=target.namespace, kubeconfig=target.login, context=target.context)
    helm = Helm(options)
    try:
        helm.check_version()
        said = helm.test(LIMIT, lambda: None)
    except HelmError as error:
        cause = "\n".join(filter(None, (_last_line(error.output) or error.cause, _explained(target))))
        raise PlayError("NML408", cause, f"Run: {target.command('logs')}") from error
    except ReleaseError as error:
        raise ClusterError("NML601", error.cause, error.fix) from error
    return _proof(said)


def _explained(target: Target) -> str:
    """What the server said last, and what it may reach; nothing if the cluster does not tell."""
    from ansible_collections.nebari.mlflow.plugins.module_utils.health import last_words

    try:
        api = cluster.connect_to(target)
        record = cluster.newest_record(api, target.release, target.namespace)
        return last_words.explain(api, target.namespace, record.objects).rstrip() if record else ""
    except (ReleaseError, ClusterError):
        return ""


def _proof(output: str) -> dict[str, Any]:
    """The test pod ends with one line of JSON."""
    for line in reversed(output.splitlines()):
        if line.strip().startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    return {}


def _last_line(output: str) -> str:
    lines = [
        line.strip() for line in output.splitlines() if line.strip() and not line.startswith(("POD LOGS", "NAME:"))
    ]
    return lines[-1] if lines else ""
