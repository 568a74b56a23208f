"""What Nebari's earlier stages returned, asked of the cluster, for commands that run outside `nebari deploy`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import names
from ..play.kubeconfig import DEFAULT
from ..plugin.providers import name_of
from ..plugin.stage_outputs import INFRASTRUCTURE, INGRESS, SERVICES
from ..plugin.variables import role
from . import cluster

if TYPE_CHECKING:
    from .config_file import Config

MIDDLEWARE = "traefik-forward-auth"  # Nebari's name for it, in every release since 2022


def kubeconfig_of(config: Config, given: str) -> str:
    """Return the file: the one that is given, KUBECONFIG, the one that Nebari wrote, or kubectl's own.

    Empty when KUBECONFIG names several: every program that is asked reads those by itself.
    """
    nebari = Path(tempfile.gettempdir()) / "NEBARI_KUBECONFIG"
    environment = os.environ.get("KUBECONFIG", "")
    if given or environment:
        return given or ("" if os.pathsep in environment else environment)
    if name_of(config) != "existing" and os.path.lexists(nebari):
        return str(nebari)
    return str(Path(DEFAULT).expanduser())


def outputs(config: Config, kubeconfig: str) -> dict[str, dict[str, Any]]:
    """Return outputs in the form of Nebari's `stage_outputs`."""
    infrastructure: dict[str, Any] = {"kubeconfig_filename": kubeconfig or os.environ["KUBECONFIG"]}
    provider = role(config)
    if provider in ("azure", "aws"):
        infrastructure["cluster_oidc_issuer_url"] = _issuer(config, kubeconfig)
    if provider == "azure":
        given = config.azure.resource_group_name
        infrastructure["resource_group_name"] = given or f"{config.project_name}-{config.namespace}"
    if provider == "gcp":
        infrastructure["project_id"] = config.google_cloud_platform.project
    return {
        INFRASTRUCTURE: {name: {"value": value} for name, value in infrastructure.items()},
        INGRESS: {"domain": config.domain or _deployed_host(config, kubeconfig)},
        SERVICES: {
            "forward-auth-middleware": {"value": {"name": MIDDLEWARE}},
            "forward-auth-service": {"value": {"name": names.LOGIN_SERVICE}},
        },
    }


def _issuer(config: Config, kubeconfig: str) -> str:
    """The cluster itself says who signs its service accounts' tokens."""
    with cluster.asking():
        api = cluster.connect(kubeconfig, config.existing.kube_context or "")
        return str(api.request("GET", "/.well-known/openid-configuration")["issuer"])


def _deployed_host(config: Config, kubeconfig: str) -> str:
    """Without a domain Nebari uses the load balancer's address, which the deployed release knows."""
    with cluster.asking():
        api = cluster.connect(kubeconfig, config.existing.kube_context or "")
        record = cluster.newest_record(api, names.release(config.project_name), config.namespace)
    return str((record.config.get("route") or {}).get("domain") or "") if record else ""
