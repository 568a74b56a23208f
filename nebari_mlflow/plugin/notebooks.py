"""Point notebooks and Dask pods at the tracking server, through the configuration that Nebari's own stages read.

What a person set by hand stays: in a notebook's environment because nothing is overwritten, in a Dask pod because
it comes by `envFrom`, which every `env` entry beats: a profile's `environment` and a user's cluster options alike.
(Nebari merges a profile's `environment` over the user's options, so the address may not stand there.)
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

from .. import names

LOG = logging.getLogger("nebari_mlflow")
DASK_PODS = ("worker_extra_container_config", "scheduler_extra_container_config")


def configure(config: Any) -> None:
    """Change Nebari's merged configuration in place. Missing stages are skipped. Idempotent."""
    jupyterhub = getattr(config, "jupyterhub", None)
    if jupyterhub is not None:
        uri = names.tracking_uri(config.project_name, config.namespace)
        variables = {names.TRACKING_VARIABLE: uri, **names.THROUGH_THE_SERVER}
        if config.mlflow.access.mode == "users":
            variables[names.TOKEN_VARIABLE] = names.NOTEBOOK_TOKEN
            add_to_hub(jupyterhub.overrides)
        add_to_notebooks(jupyterhub.overrides, variables)
    profiles = getattr(config, "profiles", None)
    for profile in (getattr(profiles, "dask_worker", None) or {}).values():
        add_to_dask(profile, names.client_config(config.project_name))


def add_to_notebooks(overrides: dict[str, Any], variables: dict[str, str]) -> None:
    """Set JupyterHub's `singleuser.extraEnv`, which is a mapping or, as the chart also takes it, a list.

    If MLFLOW_TRACKING_URI already names another server, nothing is added.
    """
    singleuser = overrides.get("singleuser")
    if singleuser is None:
        singleuser = overrides["singleuser"] = {}
    environment = singleuser.get("extraEnv")
    if environment is None:
        environment = singleuser["extraEnv"] = {}
    there = (
        dict(environment)
        if isinstance(environment, dict)
        else {entry.get("name"): entry.get("value") for entry in environment}
    )
    set_by_hand = there.get(names.TRACKING_VARIABLE)
    if set_by_hand is not None and not same_server(str(set_by_hand), variables[names.TRACKING_VARIABLE]):
        return
    missing = {name: value for name, value in variables.items() if name not in there}
    if isinstance(environment, dict):
        environment.update(missing)
    else:
        environment.extend({"name": name, "value": value} for name, value in missing.items())


def same_server(given: str, ours: str) -> bool:
    """Say whether an address is the server's own, under any name that its Service has inside the cluster."""
    host = (urlsplit(given).hostname or "").removesuffix(".")
    return bool(host) and f"{urlsplit(ours).hostname}.cluster.local.".startswith(f"{host}.")


def add_to_hub(overrides: dict[str, Any]) -> None:
    """Make MLflow a service of the hub that may read who is in which group. The hub's chart generates its token."""
    hub = overrides.get("hub") or {}
    services, roles = hub.get("services") or {}, hub.get("loadRoles") or {}
    services.setdefault(names.HUB_SERVICE, {})
    roles.setdefault(names.HUB_SERVICE, {"scopes": ["read:users"], "services": [names.HUB_SERVICE]})
    overrides["hub"] = {**hub, "services": services, "loadRoles": roles}


def add_to_dask(profile: Any, config_map: str) -> None:
    """Let worker and scheduler read the release's ConfigMap. A pod starts without it too."""
    source = {"configMapRef": {"name": config_map, "optional": True}}
    for field in DASK_PODS:
        container = dict(getattr(profile, field, None) or {})
        sources = list(container.get("envFrom") or [])
        if source not in sources:
            container["envFrom"] = [source, *sources]
            setattr(profile, field, container)
