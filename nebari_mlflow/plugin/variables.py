"""The play's variables, from Nebari's configuration and the outputs of its earlier stages. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import UpstreamError
from . import services
from .mappings import Variables, filled, plain
from .providers import PROVIDERS, kube_context, name_of
from .stage_outputs import COMMON, LOGIN, Output, read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .schema import Mlflow


def role(config: Any) -> str:
    """Return the provider role: `existing` for your own storage, `local` for a volume."""
    if config.mlflow.storage is not None:
        return "existing"
    provider = name_of(config)
    return "local" if provider == "existing" else provider


def upstream_of(config: Any) -> tuple[Output, ...]:
    """Return the outputs of earlier stages that this configuration needs."""
    access = config.mlflow.access
    wanted = COMMON if access.ui else COMMON[:1]
    if access.ui and access.mode == "users":
        wanted = (*wanted, LOGIN)
    return wanted + PROVIDERS[role(config)].outputs


def build(config: Any, stage_outputs: Mapping[str, Mapping[str, Any]] | None, *, removal: bool = False) -> Variables:
    """Return every variable that differs from the roles' defaults, and no other.

    At render time there are no `stage_outputs` (None), and the variables that they give are left out. A `removal` needs
    the kubeconfig only: it must not fail because the platform is incomplete. Raises UpstreamError.
    """
    block: Mlflow = config.mlflow
    variables: Variables = {
        "mlflow_provider": role(config),
        "mlflow_project_name": config.project_name,
        "mlflow_namespace": config.namespace,
        "mlflow_timeout": block.timeout,
        **filled(
            mlflow_version=block.version,
            mlflow_image_registry=block.image_registry,
            mlflow_overrides=plain(block.overrides),
            mlflow_database=block.database.model_dump() if block.database else {},
            mlflow_new_secrets=[*block.new_secrets],
            mlflow_context=kube_context(config),
            mlflow_domain=(getattr(config, "domain", None) or "") if block.access.ui else "",
        ),
        **({"mlflow_replicas": block.replicas} if block.replicas != 1 else {}),
        **({"mlflow_adopt_without_artifacts": True} if block.adopt_without_artifacts else {}),
        **({} if block.verify else {"mlflow_verify": False}),
        **_storage(config),
    }
    found = {} if stage_outputs is None else _found(config, stage_outputs, removal=removal)
    if "mlflow_gcp_project" in found:
        found["mlflow_gcp_workload_pool"] = f"{found['mlflow_gcp_project']}.svc.id.goog"
    if block.access.mode == "users":
        found["mlflow_access"] = services.access(config, found.pop("mlflow_access", None))
    if block.access.ui:
        found["mlflow_route"] = services.route(config, found.get("mlflow_route"))
    return dict(sorted({**variables, **found}.items()))


def _storage(config: Any) -> Variables:
    if config.mlflow.storage is not None:
        return {"mlflow_storage": config.mlflow.storage.model_dump(exclude_none=True)}
    provider = name_of(config)
    return PROVIDERS[provider].variables(config, getattr(config.mlflow, provider))


def _found(config: Any, stage_outputs: Mapping[str, Mapping[str, Any]], *, removal: bool) -> Variables:
    found = {}
    for output in upstream_of(config):
        try:
            found[output.variable] = read(stage_outputs, output)
        except UpstreamError:
            if not removal or output is COMMON[0]:
                raise
    return found
