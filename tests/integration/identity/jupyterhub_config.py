"""A hub as the platform runs it: groups, a service for MLflow, and notebook servers in pods.

It has no proxy of its own, since nobody opens a notebook here: its API is what is used.
"""

from __future__ import annotations

import os
from typing import Any

from jupyterhub.proxy import Proxy
from traitlets.config import get_config


class Direct(Proxy):  # type: ignore[misc]
    """Remembers routes and serves none."""

    should_start = False

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.routes: dict[str, dict[str, Any]] = {}

    async def add_route(self, routespec: str, target: str, data: Any) -> None:
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        self.routes.pop(routespec, None)

    async def get_all_routes(self) -> dict[str, dict[str, Any]]:
        return dict(self.routes)


NAMESPACE = os.environ["POD_NAMESPACE"]
c = get_config()
c.JupyterHub.proxy_class = Direct
c.JupyterHub.hub_bind_url = "http://:8081"
c.JupyterHub.hub_connect_url = f"http://hub.{NAMESPACE}.svc:8081"
c.JupyterHub.db_url = "sqlite:////tmp/hub.sqlite"
c.JupyterHub.cookie_secret_file = "/tmp/cookie-secret"  # noqa: S108
c.JupyterHub.cleanup_servers = False  # a hub that ends leaves the notebooks running
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.load_groups = {
    "admin": {"users": ["root"]},
    "data": {"users": ["alice", "ada"]},
    "ops": {"users": ["bob"]},
}
c.JupyterHub.services = [
    {"name": "mlflow", "api_token": os.environ["MLFLOW_SERVICE_TOKEN"]},
    {"name": "tests", "api_token": os.environ["TESTS_TOKEN"]},
]
c.JupyterHub.load_roles = [
    {"name": "mlflow", "scopes": ["read:users"], "services": ["mlflow"]},
    {"name": "tests", "scopes": ["admin:users", "admin:servers", "tokens"], "services": ["tests"]},
]
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.KubeSpawner.namespace = NAMESPACE
c.KubeSpawner.image = os.environ["NOTEBOOK_IMAGE"]
c.KubeSpawner.cmd = ["python3", "-m", "jupyterhub.singleuser"]
c.KubeSpawner.uid = 1000
c.KubeSpawner.start_timeout = 300
c.KubeSpawner.http_timeout = 300
c.KubeSpawner.extra_labels = {"hub.jupyter.org/network-access-hub": "true"}
c.KubeSpawner.container_security_context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
c.KubeSpawner.volumes = [{"name": "packages", "persistentVolumeClaim": {"claimName": "packages", "readOnly": True}}]
c.KubeSpawner.volume_mounts = [{"name": "packages", "mountPath": "/packages", "readOnly": True}]
# What Nebari hands to the notebooks, with the plugin's part of it.
c.KubeSpawner.environment = {
    "PYTHONPATH": "/packages",
    "HOME": "/tmp",  # noqa: S108
    "MLFLOW_TRACKING_URI": os.environ["TRACKING_URI"],
    "MLFLOW_TRACKING_TOKEN": "$(JUPYTERHUB_API_TOKEN)",
}
