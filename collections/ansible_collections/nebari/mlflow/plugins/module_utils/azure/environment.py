# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The clouds of Azure: the public one, and those of the US Government and of China.

https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure
https://learn.microsoft.com/azure/china/resources-developer-guide
"""

from __future__ import annotations

from dataclasses import dataclass

from ..cloud.errors import CloudError


@dataclass(frozen=True)
class Environment:
    """The addresses of one cloud: of the Resource Manager, of Entra ID, and what every blob endpoint ends with."""

    manager: str
    scope: str
    authority: str
    blobs: str


PUBLIC = Environment(
    "https://management.azure.com",
    "https://management.azure.com/.default",
    "https://login.microsoftonline.com",
    "blob.core.windows.net",
)
US_GOVERNMENT = Environment(
    "https://management.usgovcloudapi.net",
    "https://management.core.usgovcloudapi.net/.default",
    "https://login.microsoftonline.us",
    "blob.core.usgovcloudapi.net",
)
CHINA = Environment(
    "https://management.chinacloudapi.cn",
    "https://management.chinacloudapi.cn/.default",
    "https://login.chinacloudapi.cn",
    "blob.core.chinacloudapi.cn",
)
# As Terraform's azurerm writes them, and as the collection azure.azcollection and the Azure CLI do.
NAMES = {
    "public": PUBLIC,
    "usgovernment": US_GOVERNMENT,
    "china": CHINA,
    "AzureCloud": PUBLIC,
    "AzureUSGovernment": US_GOVERNMENT,
    "AzureChinaCloud": CHINA,
}


def named(value: str) -> Environment:
    """Return the cloud of that name. The default is the public cloud. Raises CloudError for an unknown name."""
    found = next((each for name, each in NAMES.items() if name.lower() == value.lower()), None)
    if value and found is None:
        raise CloudError(
            f"The cloud (ARM_ENVIRONMENT, AZURE_CLOUD_ENVIRONMENT) is {value!r}, which these modules do not know.",
            f"Set it to {', '.join(NAMES)}. For another cloud, create the storage and use provider=existing.",
        )
    return found or PUBLIC
