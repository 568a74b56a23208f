# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""HTTPS_PROXY and NO_PROXY as Helm and kubectl read them, so that all three take the same way to the cluster.

Python's own reading knows no networks in NO_PROXY, and sends a cluster on this machine through the proxy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit


def proxy_for(server: str, environ: Mapping[str, str]) -> str:
    """Return the proxy on the way to a server; "" if there is none."""
    parts = urlsplit(server)
    kind = f"{parts.scheme}_proxy"
    found = environ.get(kind.upper()) or environ.get(kind) or ""
    address = _address(parts.hostname or "")
    here = parts.hostname == "localhost" or (address is not None and address.is_loopback)
    if not found or here or is_direct(server, environ.get("NO_PROXY") or environ.get("no_proxy") or ""):
        return ""
    return found if "://" in found else f"http://{found}"


def is_direct(server: str, no_proxy: str) -> bool:
    """Say if NO_PROXY lists a server: by name, domain, address or network, with or without a port."""
    parts = urlsplit(server)
    host = (parts.hostname or "").rstrip(".")
    listed = (part.strip().lower() for part in no_proxy.split(","))
    return any(_lists(each, host, _address(host), parts.port or 443) for each in listed if each)


def _lists(entry: str, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: int) -> bool:
    if entry == "*":
        return True
    try:
        network = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        network = None
    if network is not None:
        return address is not None and address in network
    name, colon, number = entry.rpartition(":")
    if colon and number.isdigit() and int(number) != port:
        return False
    name = (name if colon and number.isdigit() else entry).removeprefix("*").strip("[]")
    if address is not None:
        return address == _address(name)
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
