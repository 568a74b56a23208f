"""The `mlflow:` block of nebari-config.yaml, and the outputs that come back from the play.

Secrets never stand in it: a Secret's name or the deployer's environment does.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from . import notebooks
from .providers import fits_platform
from .providers.aws import Aws
from .providers.azure import Azure
from .providers.gcp import Gcp
from .providers.volume import Existing, KubernetesName, Local, Volume
from .validation import Strict, check_block, helm_value_errors, no_secrets, registry, supported


class Metadata(Strict):
    """One address at which a metadata service hands out the identity's tokens."""

    cidr: str = Field(description="One address, as a network of /32 or /128.", pattern=r"^([0-9.]+/32|[0-9a-f:]+/128)$")
    port: int = Field(description="TCP port.", ge=1, le=65535)


class Network(Strict):
    """What the server must reach, besides the store, to use its identity."""

    metadata: list[Metadata] = Field(
        default=[],
        description="Metadata services that the identity's tokens come from, each as {cidr, port}. GKE and EKS Pod "
        "Identity have one; IRSA and Azure workload identity have none.",
    )


class Storage(Strict):
    """Your own storage on any provider, in the shape that every provider role returns."""

    uri: str = Field(description="s3://, gs://, wasbs:// or a path on `volume`.", pattern=r"^((s3|gs|wasbs)://.+|/.+)$")
    env: dict[str, str] = Field(default={}, description="Environment of the server. Holds no secret value.")
    secret: str = Field(default="", description="Secret in Nebari's namespace whose keys become environment.")
    service_account_annotations: dict[str, str] = Field(
        default={}, description="Annotations of the server's service account."
    )
    pod_labels: dict[str, str] = Field(default={}, description="Labels of the server's pods.")
    volume: Volume | None = Field(
        default=None, description="A volume to create and mount at `uri`, when that is a path."
    )
    network: Network | None = Field(
        default=None, description="What the server must reach, besides the store, to use its identity."
    )


class Database(Strict):
    """A PostgreSQL outside the cluster."""

    secret: KubernetesName = Field(description="Secret in Nebari's namespace that holds the database's URI.")
    key: str = Field(
        default="uri", description="Key of that Secret; its value is like postgresql://user:password@host:5432/db."
    )


class Access(Strict):
    """How people reach the UI. Notebooks reach the server inside the cluster in any case."""

    ui: bool = Field(default=True, description="Serve the UI at https://{domain}/mlflow, behind Nebari's login.")
    middleware: KubernetesName | None = Field(
        default=None, description="Traefik Middleware that plays the login. Default: the one that Nebari made."
    )
    mode: Literal["open", "users"] = Field(
        default="open",
        description="open: everyone whom the network lets in may read and change everything. users: notebooks and "
        "browsers are the people who are logged in to Nebari, and MLflow's permissions apply.",
    )
    admin_groups: list[str] = Field(default=["admin"], description="Groups whose members may do everything.")
    groups: list[str] = Field(
        default=[], description="Groups that may use MLflow, besides the administrators. Empty: everyone on Nebari."
    )
    teams: list[str] = Field(
        default=[], description="Groups that keep what their members create to themselves. The rest is everyone's."
    )
    default_permission: Literal["NO_PERMISSIONS", "READ", "USE", "EDIT", "MANAGE"] = Field(
        default="EDIT", description="What people may do with what others created."
    )


class Mlflow(Strict):
    """MLflow for everyone on this Nebari."""

    enabled: bool = Field(
        default=True, description="false removes the server and keeps all data; true brings everything back."
    )
    version: str = Field(
        default="", description="MLflow version, 3.17 or later. Empty: the one this release was tested with."
    )
    replicas: int = Field(default=1, description="Number of server pods.", ge=1, le=32)
    image_registry: str = Field(default="", description="Registry to pull every image from instead of its own.")
    timeout: int = Field(default=600, description="Seconds until a deploy gives up waiting.", ge=30, le=7200)
    verify: bool = Field(default=True, description="Log a run, an artifact and a model version before calling it done.")
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
        description="Take over the database of a release that another MLflow chart made under the same name. Does "
        "nothing if there is none.",
    )
    adopt_without_artifacts: bool = Field(
        default=False,
        description="Take it over although its artifacts are on volumes of the cluster, which are kept but not copied.",
    )
    access: Access = Field(default=Access(), description="How people reach the UI.")
    local: Local | None = Field(default=None, description="Options for `provider: local`.")
    existing: Existing | None = Field(default=None, description="Options for `provider: existing`.")
    azure: Azure | None = Field(default=None, description="Options for `provider: azure`.")
    gcp: Gcp | None = Field(default=None, description="Options for `provider: gcp`.")
    aws: Aws | None = Field(default=None, description="Options for `provider: aws`.")
    overrides: dict[str, Any] = Field(default={}, description="Helm values that win over everything above.")

    @field_validator("overrides", "access", mode="before")
    @classmethod
    def _null_is_empty(cls, value: object) -> object:
        return {} if value is None else value

    @field_validator("overrides")
    @classmethod
    def _known_values(cls, value: dict[str, Any]) -> dict[str, Any]:
        errors = helm_value_errors(value)
        if errors:
            raise ValueError(" ".join(errors))
        return value

    @field_validator("version")
    @classmethod
    def _supported(cls, value: str) -> str:
        return supported(value)

    @field_validator("image_registry")
    @classmethod
    def _registry(cls, value: str) -> str:
        return registry(value)

    @model_validator(mode="after")
    def _no_secrets(self) -> Mlflow:
        no_secrets(self)
        return self


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


class Service(BaseModel):
    """The Service that answers the tracking API."""

    name: str
    namespace: str
    port: int


class OutputSchema(BaseModel):
    """What the play returns: where MLflow is, what runs there, and what this deploy changed."""

    model_config = ConfigDict(extra="allow")

    tracking_uri: str = Field(pattern=r"^http://")
    ui_url: str
    artifact_uri: str = Field(min_length=1)
    service: Service
    release: dict[str, Any]
    versions: dict[str, str]
    verified: bool
    changes: list[dict[str, Any]]
