# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The clouds of Azure: the public one, and those of the US Government and of China.

https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure
https://learn.microsoft.com/azure/china/resources-developer-guide
"""

from __future__ import annotations

from collections.abc import Mapping
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
    "ARM_ENVIRONMENT": {"public": PUBLIC, "usgovernment": US_GOVERNMENT, "china": CHINA},
    "AZURE_CLOUD_ENVIRONMENT": {
        "AzureCloud": PUBLIC,
        "AzureUSGovernment": US_GOVERNMENT,
        "AzureChinaCloud": CHINA,
    },
}


def chosen(environ: Mapping[str, str]) -> Environment:
    """Return the cloud named by ARM_ENVIRONMENT, or by AZURE_CLOUD_ENVIRONMENT. The default is the public cloud."""
    for variable, names in NAMES.items():
        value = environ.get(variable, "")
        found = next((each for name, each in names.items() if name.lower() == value.lower()), None)
        if value and found is None:
            raise CloudError(
                f"{variable} is {value!r}, which is not a cloud of Azure's that this module knows.",
                f"Set it to {', '.join(names)}. For another cloud, create the storage and use provider=existing.",
            )
        if found:
            return found
    return PUBLIC
