"""Nebari's providers, one file each: its block of options, the stage outputs that it needs, its variables."""

from __future__ import annotations

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
    """Nebari's provider, as `local`, `existing`, `azure`, `gcp` or `aws`."""
    return str(getattr(config.provider, "value", config.provider))
