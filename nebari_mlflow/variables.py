"""The play's variables, from Nebari's configuration and what its earlier stages returned. Pure.

Nothing else reads `stage_outputs`. Without them (None: at render time) the variables that they would give are left
out, so that what is written down is what the configuration alone says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .schema import Mlflow

Variables = dict[str, Any]
INFRASTRUCTURE = "stages/02-infrastructure"
INGRESS = "stages/04-kubernetes-ingress"
SERVICES = "stages/07-kubernetes-services"


@dataclass(frozen=True)
class Output:
    """One output of an earlier stage, and the variable that it fills."""

    variable: str
    stage: str
    name: str


COMMON = (
    Output("mlflow_kubeconfig", INFRASTRUCTURE, "kubeconfig_filename"),
    Output("mlflow_domain", INGRESS, "domain"),
    Output("mlflow_route", SERVICES, "forward-auth-middleware"),
)
OF_PROVIDER: dict[str, tuple[Output, ...]] = {
    "azure": (
        Output("mlflow_azure_resource_group", INFRASTRUCTURE, "resource_group_name"),
        Output("mlflow_azure_oidc_issuer_url", INFRASTRUCTURE, "cluster_oidc_issuer_url"),
    ),
    "gcp": (Output("mlflow_gcp_project", INFRASTRUCTURE, "project_id"),),
    "aws": (Output("mlflow_aws_oidc_issuer_url", INFRASTRUCTURE, "cluster_oidc_issuer_url"),),
    "local": (),
    "existing": (),
}


def provider_name(config: Any) -> str:
    """Nebari's provider, as `local`, `existing`, `azure`, `gcp` or `aws`."""
    return str(getattr(config.provider, "value", config.provider))


def play_provider(config: Any) -> str:
    """The provider role that gives the storage: `existing` for a store of one's own, `local` for a volume."""
    provider = provider_name(config)
    if config.mlflow.storage is not None:
        return "existing"
    return "local" if provider == "existing" else provider


def upstream_of(config: Any) -> tuple[Output, ...]:
    """The outputs of earlier stages that this configuration needs."""
    wanted = COMMON if config.mlflow.access.ui else COMMON[:1]
    return wanted + OF_PROVIDER[play_provider(config)]


def read(stage_outputs: Mapping[str, Mapping[str, Any]], output: Output) -> Any:
    """Return an output; Nebari stores some as {"value": x} and some as x."""
    try:
        found = stage_outputs[output.stage][output.name]
    except KeyError as error:
        raise UpstreamError(
            "NML201",
            f"{output.stage} gave no {output.name}, which {output.variable} comes from.",
            "Deploy that stage first: run `nebari deploy` for the whole configuration, with Nebari 2024.10.1 or later.",
        ) from error
    value = found.get("value") if isinstance(found, dict) else found
    if value in (None, ""):
        raise UpstreamError(
            "NML201",
            f"{output.stage} gave an empty {output.name}, which {output.variable} comes from.",
            f"Look at the output of {output.stage} above.",
        )
    return value


def build(config: Any, stage_outputs: Mapping[str, Mapping[str, Any]] | None, *, removal: bool = False) -> Variables:
    """Return every variable that differs from the roles' defaults, and no other.

    `removal` needs the kubeconfig only: a teardown must not fail for what a half-made platform lacks.
    """
    block: Mlflow = config.mlflow
    provider = play_provider(config)
    variables: Variables = {
        "mlflow_provider": provider,
        "mlflow_project_name": config.project_name,
        "mlflow_namespace": config.namespace,
        "mlflow_timeout": block.timeout,
        **_set(
            mlflow_version=block.version,
            mlflow_image_registry=block.image_registry,
            mlflow_overrides=plain(block.overrides),
            mlflow_database=block.database.model_dump() if block.database else {},
            mlflow_context=_context(config),
            mlflow_domain=(getattr(config, "domain", None) or "") if block.access.ui else "",
        ),
        **({"mlflow_replicas": block.replicas} if block.replicas != 1 else {}),
        **({} if block.verify else {"mlflow_verify": False}),
        **PROVIDERS[provider](config),
    }
    found = {} if stage_outputs is None else _found(config, stage_outputs, removal=removal)
    if "mlflow_gcp_project" in found:
        found["mlflow_gcp_workload_pool"] = f"{found['mlflow_gcp_project']}.svc.id.goog"
    if block.access.ui:
        found["mlflow_route"] = _route(config, found.get("mlflow_route"))
    return dict(sorted({**variables, **found}.items()))


def _found(config: Any, stage_outputs: Mapping[str, Mapping[str, Any]], *, removal: bool) -> Variables:
    found = {}
    for output in upstream_of(config):
        try:
            found[output.variable] = read(stage_outputs, output)
        except UpstreamError:
            if not removal or output is COMMON[0]:
                raise
    return found


def _route(config: Any, middleware: Any) -> dict[str, Any]:
    """Nebari's own login in front of the UI; its Middleware is in the release's namespace."""
    given = config.mlflow.access.middleware
    upstream = middleware.get("name") if isinstance(middleware, dict) else middleware
    return {
        "type": "traefik",
        "traefik": {
            "forwardAuth": {"name": given or upstream or "traefik-forward-auth", "namespace": config.namespace}
        },
    }


def _context(config: Any) -> str:
    """`existing` uses the person's own kubeconfig, which has several contexts. The others get one of their own."""
    provider = provider_name(config)
    return str(getattr(getattr(config, provider, None), "kube_context", None) or "") if provider == "existing" else ""


def _set(**variables: Any) -> Variables:
    return {name: value for name, value in variables.items() if value not in ("", {}, [], None)}


def plain(value: Any) -> Any:
    """Copy a YAML document without the loader's own types and quoting."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _volume(config: Any) -> Variables:
    block = getattr(config.mlflow, provider_name(config), None)
    if block is None:
        return {}
    if block.s3 is not None:
        return {"mlflow_local_s3": block.s3.model_dump()}
    given = block.model_dump(include={"size", "storage_class", "access_mode"}, exclude_defaults=True)
    return {f"mlflow_local_{name}": value for name, value in given.items()}


def _storage(config: Any) -> Variables:
    return {"mlflow_storage": config.mlflow.storage.model_dump(exclude_none=True)}


def _azure(config: Any) -> Variables:
    cloud, block = config.azure, config.mlflow.azure
    own = block.model_dump(exclude_none=True, exclude_defaults=True, exclude={"tags"}) if block else {}
    tags = {**(cloud.tags or {}), **(block.tags if block else {})}
    # As nebari-mlflow-plugin named its account, in Nebari's own resource group.
    before = f"{config.project_name[:15]}mlfsa{cloud.storage_account_postfix}"
    adopt = before if re.fullmatch("[a-z0-9]{3,24}", before) else ""
    return _set(mlflow_azure_location=cloud.region, mlflow_azure_tags=plain(tags), mlflow_azure_adopt=adopt) | {
        f"mlflow_azure_{name}": value for name, value in own.items()
    }


def _gcp(config: Any) -> Variables:
    cloud, block = config.google_cloud_platform, config.mlflow.gcp
    own = block.model_dump(exclude_defaults=True) if block else {}
    return _set(mlflow_gcp_project=cloud.project, mlflow_gcp_region=cloud.region) | {
        f"mlflow_gcp_{name}": value for name, value in own.items()
    }


def _aws(config: Any) -> Variables:
    cloud, block = config.amazon_web_services, config.mlflow.aws
    own = block.model_dump(exclude_defaults=True, exclude={"tags", "permissions_boundary"}) if block else {}
    return _set(
        mlflow_aws_region=cloud.region,
        mlflow_aws_cluster_name=f"{config.escaped_project_name}-{config.namespace}",
        mlflow_aws_tags=plain({**(cloud.tags or {}), **(block.tags if block else {})}),
        mlflow_aws_permissions_boundary=(block.permissions_boundary if block else "") or cloud.permissions_boundary,
    ) | {f"mlflow_aws_{name}": value for name, value in own.items()}


PROVIDERS: dict[str, Callable[[Any], Variables]] = {
    "local": _volume,
    "existing": _storage,
    "azure": _azure,
    "gcp": _gcp,
    "aws": _aws,
}
