"""Prove that MLflow works by using it, with the chart's own test pod and the server's real service account."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError

from ..errors import ClusterError, PlayError
from .cluster import asking, connect_to, deployed

if TYPE_CHECKING:
    from .context import Target

LIMIT = 300  # seconds
LINES = 15


def use(target: Target) -> dict[str, Any]:
    """Run the chart's tests and return what the test pod found. Raises ClusterError, and PlayError if a test fails."""
    from ansible_collections.nebari.mlflow.plugins.module_utils.release.helm import Helm, HelmError
    from ansible_collections.nebari.mlflow.plugins.module_utils.release.manifest import tests
    from ansible_collections.nebari.mlflow.plugins.module_utils.release.options import Options
    from ansible_collections.nebari.mlflow.plugins.module_utils.release.smoke_test import Pods, failure

    options = Options(name=target.release, namespace=target.namespace, kubeconfig=target.login, context=target.context)
    api = connect_to(target)
    with asking():
        record = deployed(api, target)
    pods = Pods(api, target.namespace, tests(record.hooks))
    helm = Helm(options)
    try:
        helm.check_version()
        helm.test(LIMIT, lambda: None)
    except HelmError as error:
        with asking():
            found = failure(pods, record.objects, error)
        raise PlayError("NML408", found.cause.rstrip(), f"Run: {target.command('logs')}") from error
    except ReleaseError as error:
        raise ClusterError("NML601", error.cause, error.fix) from error
    return _proof([line for path in pods.containers for line in pods.log(path, LINES)])


def _proof(log: list[str]) -> dict[str, Any]:
    """The test pod ends with one line of JSON."""
    for line in reversed(log):
        if line.strip().startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    return {}
