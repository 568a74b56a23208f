"""The environments that Nebari's own code gives to its pods, for tests that run real pods with them."""

from __future__ import annotations

import json
from typing import Any

from tests.support import run_pod

from .support import Project

ASK = """
import json
from pathlib import Path
from _nebari.stages.kubernetes_services import KubernetesServicesStage
from nebari.plugins import nebari_plugin_manager
config = nebari_plugin_manager.read_config("nebari-config.yaml")
node = {"key": "kubernetes.io/os", "value": "linux"}
outputs = {
    "stages/02-infrastructure": {"node_selectors": {"general": node, "user": node, "worker": node}},
    "stages/04-kubernetes-ingress": {"domain": config.domain},
    "stages/06-kubernetes-keycloak-configuration": {
        "realm_id": {"value": "nebari"},
        "keycloak-read-only-user-credentials": {"value": {}},
    },
}
stage = KubernetesServicesStage(output_directory=Path("."), config=config)
print(json.dumps(stage.input_vars(outputs), default=str))
"""


def services_variables(project: Project) -> dict[str, Any]:
    """What Nebari's own stage hands to JupyterHub's and Dask Gateway's charts."""
    code, output = project.warm(ASK, "-c")
    assert code == 0, output
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def notebook_environment(project: Project) -> dict[str, str]:
    """`singleuser.extraEnv`, which the JupyterHub chart gives to KubeSpawner as a pod's environment."""
    (overrides,) = services_variables(project)["jupyterhub-overrides"]
    environment: dict[str, str] = (json.loads(overrides).get("singleuser") or {}).get("extraEnv") or {}
    return environment


def run_notebook(project: Project, name: str, script: str) -> str:
    """Run a script in a pod with a notebook's label and environment."""
    given: dict[str, Any] = dict(notebook_environment(project))
    return run_pod(project.namespace, name, script, **given)


def run_dask_worker(project: Project, script: str, user: dict[str, str]) -> str:
    """Run a script in a pod with the labels, the sources and the user's options of a Dask Gateway worker."""
    profile = services_variables(project)["dask-gateway-profiles"]["Small Worker"]
    container = profile["worker_extra_container_config"]
    labels = {
        "gateway.dask.org/cluster": "c1",
        "gateway.dask.org/instance": "nebari-dask-gateway",
        "app.kubernetes.io/component": "dask-worker",
    }
    given: dict[str, Any] = dict(user)
    return run_pod(project.namespace, "dask-worker", script, labels=labels, env_from=container["envFrom"], **given)
