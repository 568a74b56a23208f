"""The blocks of `mlflow:` that no provider owns: your own storage, your own database, and who may use the server."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .providers.volume import KubernetesName, Volume
from .validation import Strict


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
        default=None, description="Traefik Middleware that asks for the login. Defaults to Nebari's own."
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
