"""`azure`: a storage account and a managed identity."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field

from ..mappings import Variables, filled, plain, prefixed
from ..stage_outputs import INFRASTRUCTURE, Output
from ..validation import Strict

OUTPUTS = (
    Output("mlflow_azure_resource_group", INFRASTRUCTURE, "resource_group_name"),
    Output("mlflow_azure_oidc_issuer_url", INFRASTRUCTURE, "cluster_oidc_issuer_url"),
)


class AzureNetwork(Strict):
    """Networks that may reach the storage account. By default all networks may, behind the identity."""

    default_action: Literal["Deny", "Allow"] | None = Field(
        default=None,
        description="What happens to all other networks. Defaults to Deny if a list is given. "
        "Deny alone leaves private endpoints.",
    )
    bypass: str = Field(default="", description="Azure services that may pass, such as AzureServices.")
    ip_rules: list[str] = Field(default=[], description="Public IPv4 addresses and ranges that may reach the account.")
    subnet_ids: list[str] = Field(default=[], description="Ids of subnets that may reach the account.")


class Azure(Strict):
    """The storage account and the managed identity that the server uses."""

    subscription_id: str = Field(
        default="", description="Subscription id. Defaults to the deployer's ARM_SUBSCRIPTION_ID."
    )
    replication: Literal["LRS", "ZRS", "GRS", "RAGRS", "GZRS", "RAGZRS"] | None = Field(
        default=None,
        description="Replication of the account. Defaults to LRS for new accounts; existing accounts keep theirs.",
    )
    network_rules: AzureNetwork | None = Field(default=None, description="Networks that may reach the account.")
    tags: dict[str, str] = Field(default={}, description="Tags beyond those of `azure.tags`.")
    interpreter: str = Field(
        default="", description="Python with Azure's SDKs, if they are not installed in Nebari's environment."
    )


def variables(config: Any, block: Azure | None) -> Variables:
    """Return what the role `azure` is told."""
    cloud = config.azure
    own = block.model_dump(exclude_none=True, exclude_defaults=True, exclude={"tags"}) if block else {}
    # As nebari-mlflow-plugin named its account, in Nebari's own resource group.
    before = f"{config.project_name[:15]}mlfsa{cloud.storage_account_postfix}"
    return filled(
        mlflow_azure_location=cloud.region,
        mlflow_azure_tags=plain({**(cloud.tags or {}), **(block.tags if block else {})}),
        mlflow_azure_adopt=before if re.fullmatch("[a-z0-9]{3,24}", before) else "",
    ) | prefixed("mlflow_azure_", own)
