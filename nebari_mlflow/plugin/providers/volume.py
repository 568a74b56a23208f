"""`local` and `existing`: artifacts on a volume of the cluster, or in an S3-compatible store that is there."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator

from .. import notebooks
from ..mappings import Variables, prefixed
from ..validation import Strict

Quantity = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*([.][0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$")]
KubernetesName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
AccessMode = Literal["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"]


class Volume(Strict):
    """A volume of the cluster that holds the artifacts."""

    size: Quantity = Field(default="20Gi", description="Size of the artifact volume, as a Kubernetes quantity.")
    storage_class: str = Field(default="", description="StorageClass; empty is the cluster's default class.")
    access_mode: AccessMode = Field(
        default="ReadWriteOnce",
        description="ReadWriteMany lets several replicas share the volume, where the class can do it.",
    )


class S3(Strict):
    """An S3-compatible store that exists already, such as MinIO."""

    endpoint: str = Field(description="URL of the store, as pods of the cluster reach it.", pattern=r"^https?://")
    bucket: str = Field(description="Bucket that holds the artifacts. It must exist.", min_length=1)
    prefix: str = Field(default="", description="Path within the bucket.")
    region: str = Field(default="us-east-1", description="Region name that requests are signed with.")
    secret: KubernetesName = Field(
        description="Secret in Nebari's namespace with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    )


class Local(Volume):
    """Artifacts of a local Nebari: a volume, or an S3-compatible store."""

    s3: S3 | None = Field(default=None, description="An S3-compatible store to use instead of a volume.")
    minio_root_password: None = Field(
        default=None,
        description="Accepted from nebari-mlflow-plugin, and no longer needed: there is no MinIO. Remove it.",
    )

    @field_validator("minio_root_password", mode="before")
    @classmethod
    def _not_needed(cls, _value: object) -> None:
        notebooks.LOG.warning("mlflow.local.minio_root_password is no longer needed: there is no MinIO. Remove it.")


class Existing(Volume):
    """Artifacts of a Nebari on an existing cluster, unless `mlflow.storage` is given."""

    s3: S3 | None = Field(default=None, description="An S3-compatible store to use instead of a volume.")


def variables(_config: Any, block: Local | Existing | None) -> Variables:
    """Return what the role `local` is told."""
    if block is None:
        return {}
    if block.s3 is not None:
        return {"mlflow_local_s3": block.s3.model_dump()}
    return prefixed("mlflow_local_", block.model_dump(include=set(Volume.model_fields), exclude_defaults=True))
