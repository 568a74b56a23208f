"""Nebari's providers. Each file has a provider's block of options, the stage outputs it needs, and its variables."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..mappings import Variables
from ..stage_outputs import Output
from . import aws, azure, gcp, volume


@dataclass(frozen=True)
class Provider:
    """`variables(config, block)` is pure; `block` is that of `mlflow:`, or None."""

    variables: Callable[[Any, Any], Variables]
    outputs: tuple[Output, ...] = ()


PROVIDERS = {
    "local": Provider(volume.variables),
    "existing": Provider(volume.variables),
    "azure": Provider(azure.variables, azure.OUTPUTS),
    "gcp": Provider(gcp.variables, gcp.OUTPUTS),
    "aws": Provider(aws.variables, aws.OUTPUTS),
}


def name_of(config: Any) -> str:
    """Return Nebari's provider, as `local`, `existing`, `azure`, `gcp` or `aws`."""
    return str(getattr(config.provider, "value", config.provider))


def kube_context(config: Any) -> str:
    """Return the context to use in the user's own kubeconfig, with `existing`. Other kubeconfigs have only one."""
    block = getattr(config, "existing", None) if name_of(config) == "existing" else None
    return str(getattr(block, "kube_context", None) or "")


def fits_platform(config: Any) -> None:
    """Raise ValueError for what Kubernetes would refuse later, and for options of another provider than Nebari's."""
    provider = name_of(config)
    if provider not in PROVIDERS:
        raise ValueError(
            f"provider is {provider}, and mlflow runs on {', '.join(PROVIDERS)}. Set mlflow.enabled: false."
        )
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", config.namespace):
        raise ValueError(
            f"namespace is {config.namespace!r}, which Kubernetes does not take: use lower-case letters, digits and -."
        )
    block = config.mlflow
    for other in PROVIDERS:
        if other != provider and getattr(block, other) is not None:
            raise ValueError(
                f"mlflow.{other} is given, and provider is {provider}. Remove it, or use mlflow.{provider}."
            )
    given = getattr(block, provider) if provider in ("local", "existing") else None
    on_volume = provider in ("local", "existing") and block.storage is None and getattr(given, "s3", None) is None
    if block.replicas > 1 and on_volume and getattr(given, "access_mode", "") != "ReadWriteMany":
        raise ValueError(
            f"mlflow.replicas is {block.replicas}, but the artifact volume can be mounted by one node only. "
            f"Set mlflow.{provider}.access_mode: ReadWriteMany (if the StorageClass can do it), give a store, "
            "or set replicas: 1."
        )
