"""`gcp`: a bucket and a service account."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ..mappings import Variables, filled, prefixed
from ..stage_outputs import INFRASTRUCTURE, Output
from ..validation import Strict

OUTPUTS = (Output("mlflow_gcp_project", INFRASTRUCTURE, "project_id"),)


class Gcp(Strict):
    """The bucket and the identity that the server uses."""

    direct_identity: bool = Field(
        default=False,
        description="Give the bucket to the Kubernetes service account itself, without a Google one between.",
    )
    labels: dict[str, str] = Field(default={}, description="Labels of the bucket.")


def variables(config: Any, block: Gcp | None) -> Variables:
    """Return what the role `gcp` is told."""
    cloud = config.google_cloud_platform
    own = block.model_dump(exclude_defaults=True) if block else {}
    return filled(mlflow_gcp_project=cloud.project, mlflow_gcp_region=cloud.region) | prefixed("mlflow_gcp_", own)
