"""`aws`: a bucket, its key and a role."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ..mappings import Variables, filled, plain, prefixed
from ..stage_outputs import INFRASTRUCTURE, Output
from ..validation import Strict

OUTPUTS = (Output("mlflow_aws_oidc_issuer_url", INFRASTRUCTURE, "cluster_oidc_issuer_url"),)


class Aws(Strict):
    """The bucket, its key and the role that the server uses."""

    enable_s3_encryption: bool = Field(default=True, description="Encrypt the bucket with a KMS key of its own.")
    identity: Literal["irsa", "pod_identity"] = Field(
        default="irsa", description="How the server gets its role: the cluster's OIDC provider, or EKS Pod Identity."
    )
    tags: dict[str, str] = Field(default={}, description="Tags beyond those of `amazon_web_services.tags`.")
    permissions_boundary: str = Field(
        default="", description="ARN of a policy that bounds the role. Empty: that of `amazon_web_services`, if any."
    )


def variables(config: Any, block: Aws | None) -> Variables:
    """Return what the role `aws` is told."""
    cloud = config.amazon_web_services
    own = block.model_dump(exclude_defaults=True, exclude={"tags", "permissions_boundary"}) if block else {}
    return filled(
        mlflow_aws_region=cloud.region,
        mlflow_aws_cluster_name=f"{config.escaped_project_name}-{config.namespace}",
        mlflow_aws_tags=plain({**(cloud.tags or {}), **(block.tags if block else {})}),
        mlflow_aws_permissions_boundary=(block.permissions_boundary if block else "") or cloud.permissions_boundary,
    ) | prefixed("mlflow_aws_", own)
