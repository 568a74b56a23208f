# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Who reaches a storage account. Pure.

https://learn.microsoft.com/azure/storage/common/storage-network-security
"""

from __future__ import annotations

import ipaddress
from typing import Any

from ..cloud.errors import CloudError

Rules = dict[str, Any]
# The option of the modules.
OPTION: dict[str, Any] = {
    "type": "dict",
    "options": {
        "default_action": {"type": "str", "choices": ["Allow", "Deny"], "default": "Deny"},
        "bypass": {"type": "str", "default": "AzureServices"},
        "ip_rules": {"type": "list", "elements": "str", "default": []},
        "subnet_ids": {"type": "list", "elements": "str", "default": []},
    },
}
PRIVATE = [ipaddress.IPv4Network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


def merged(rules: Rules, current: Rules) -> Rules:
    """Return the current rules with ours; addresses and subnets that others let in stay."""
    addresses = [address for given in rules.get("ip_rules") or [] for address in addresses_of(given)]
    return {
        **current,
        "defaultAction": rules.get("default_action") or "Deny",
        "bypass": rules.get("bypass") or "AzureServices",
        "ipRules": _with(current.get("ipRules", []), "value", addresses),
        "virtualNetworkRules": _with(current.get("virtualNetworkRules", []), "id", rules.get("subnet_ids") or []),
    }


def addresses_of(given: str) -> list[str]:
    """Return an address or a range as Azure takes it: ranges of one or two addresses are written as addresses.

    Raises CloudError for anything else.
    """
    try:
        network = ipaddress.IPv4Network(given.strip(), strict=False)
    except ValueError:
        raise CloudError(
            f"network_rules: {given!r} is not an IPv4 address or range.",
            "Give public IPv4 addresses, or ranges like 203.0.113.0/24. Azure's storage accounts take no IPv6.",
        ) from None
    if any(network.overlaps(each) for each in PRIVATE):
        raise CloudError(
            f"network_rules: {given} is a private range, which Azure does not take.",
            "Let a private network in by its subnet's id, in subnet_ids, or by a private endpoint.",
        )
    return [str(address) for address in network] if network.prefixlen > 30 else [str(network)]


def _with(known: list[Rules], key: str, values: list[str]) -> list[Rules]:
    there = {each[key].lower() for each in known}
    return [*known, *({key: each, "action": "Allow"} for each in dict.fromkeys(values) if each.lower() not in there)]
