"""The `mlflow:` block of nebari-config.yaml.

It holds no secret: give the name of a Secret, or set the deployer's environment.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from . import notebooks
from .blocks import Access, Database, Storage
from .providers import fits_platform
from .providers.aws import Aws
from .providers.azure import Azure
from .providers.gcp import Gcp
from .providers.volume import Existing, Local
from .validation import HelmValues, Registry, Strict, Version, check_block, no_secrets


class Mlflow(Strict):
    """MLflow for everyone on this Nebari."""

    enabled: bool = Field(
        default=True, description="false removes the server and keeps all data; true brings everything back."
    )
    version: Version = Field(
        default="", description="MLflow version, 3.17 or later. Empty: the one this release was tested with."
    )
    replicas: int = Field(default=1, description="Number of server pods.", ge=1, le=32)
    image_registry: Registry = Field(default="", description="Registry to pull every image from instead of its own.")
    timeout: int = Field(default=600, description="Seconds until a deploy gives up waiting.", ge=30, le=7200)
    verify: bool = Field(default=True, description="Run the smoke test after each deploy.")
    storage: Storage | None = Field(default=None, description="Your own storage, instead of the provider's.")
    database: Database | None = Field(
        default=None, description="External PostgreSQL database (replaces the bundled one)."
    )
    new_secrets: list[Literal["keys", "postgresql"]] = Field(
        default=[],
        description="Secrets to generate again although the data that they open exist, because no backup is left.",
    )
    adopt: bool = Field(
        default=False,
        description="Take over the database and artifacts of a release that another MLflow chart made under the same "
        "name. Does nothing if there is none.",
    )
    adopt_without_artifacts: bool = Field(
        default=False,
        description="Take over the database although the artifacts can neither be copied nor stay in use; they are "
        "kept.",
    )
    access: Access = Field(default=Access(), description="How people reach the UI.")
    local: Local | None = Field(default=None, description="Options for `provider: local`.")
    existing: Existing | None = Field(default=None, description="Options for `provider: existing`.")
    azure: Azure | None = Field(default=None, description="Options for `provider: azure`.")
    gcp: Gcp | None = Field(default=None, description="Options for `provider: gcp`.")
    aws: Aws | None = Field(default=None, description="Options for `provider: aws`.")
    overrides: HelmValues = Field(default={}, description="Helm values that win over everything above.")

    @field_validator("overrides", "access", mode="before")
    @classmethod
    def _null_is_empty(cls, value: object) -> object:
        return {} if value is None else value

    @model_validator(mode="after")
    def _no_secrets(self) -> Mlflow:
        return no_secrets(self)


class InputSchema(BaseModel):
    """What the plugin adds to Nebari's configuration. Nebari mixes it with every other stage's schema."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    mlflow: Mlflow = Field(default=Mlflow(), description="MLflow for everyone on this Nebari.")

    @field_validator("mlflow", mode="before")
    @classmethod
    def _null_means_defaults(cls, value: object) -> object:
        return check_block(value)

    @model_validator(mode="after")
    def _fit_the_platform(self) -> InputSchema:
        if self.mlflow.enabled and hasattr(self, "provider"):
            fits_platform(self)
            notebooks.configure(self)
        return self
