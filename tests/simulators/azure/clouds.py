"""The hosts of Azure's clouds; a simulator is one of them.

https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure
https://learn.microsoft.com/azure/china/resources-developer-guide
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hosts:
    manager: str
    audience: str  # of the Resource Manager's tokens
    login: str
    blobs: str


PUBLIC = Hosts(
    "management.azure.com", "https://management.azure.com", "login.microsoftonline.com", ".blob.core.windows.net"
)
US_GOVERNMENT = Hosts(
    "management.usgovcloudapi.net",
    "https://management.core.usgovcloudapi.net",
    "login.microsoftonline.us",
    ".blob.core.usgovcloudapi.net",
)
CHINA = Hosts(
    "management.chinacloudapi.cn",
    "https://management.chinacloudapi.cn",
    "login.chinacloudapi.cn",
    ".blob.core.chinacloudapi.cn",
)
ALL = (PUBLIC, US_GOVERNMENT, CHINA)
