# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Read from the server's environment which hosts and ports it has to reach. Pure.

Only scheme, host and port of a value are looked at: it may come from a Secret.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

PORTS = {"http": 80, "https": 443, "redis": 6379, "rediss": 6379, "grpc": 4317, "socks5": 1080, "socks5h": 1080}
NAMES = re.compile(r"ENDPOINT|_PROXY$|EMULATOR_HOST|_REDIS_URL$|CONNECTION_STRING$", re.I)
PROXY = re.compile(r"^(HTTPS?|ALL)_PROXY$", re.I)
NO_PROXY = re.compile(r"^NO_PROXY$", re.I)
BLOB = re.compile(r"(?:Blob|Dfs|Queue|Table|File)Endpoint=(https?://[^;]+)", re.I)
API = "access.kubernetes.enabled"


@dataclass(frozen=True)
class Destination:
    """A host and a port that the server reaches; `source` is the value or variable that names it."""

    host: str
    port: int
    source: str


def named(variables: Mapping[str, str], where: str, *, every: bool = False) -> list[Destination]:
    """Return the destinations of variables that name an endpoint or a proxy, or of `every` variable with a URL."""
    found = []
    for name, value in variables.items():
        if NO_PROXY.match(name) or not (every or NAMES.search(name)):
            continue
        for text in BLOB.findall(value) or [value]:
            parsed = parse(text, proxy=bool(PROXY.match(name)))
            if parsed is not None:
                found.append(Destination(*parsed, f"{where}{name}"))
    return found


def of_access(access: Mapping[str, Any]) -> list[Destination]:
    """Return the services that the server asks about its users."""
    if access.get("mode") != "users":
        return []
    urls = {f"access.{name}.url": str(access[name]["url"]) for name in ("jupyterhub", "login")}
    for number, provider in enumerate(access["openid"]):
        for name in ("issuer", "jwksUri"):
            urls[f"access.openid[{number}].{name}"] = str(provider.get(name) or "")
    found = [Destination(*parsed, source) for source, text in urls.items() if (parsed := parse(text))]
    return [*found, Destination("kubernetes.default.svc", 443, API)] if access["kubernetes"]["enabled"] else found


def parse(text: str, *, proxy: bool = False) -> tuple[str, int] | None:
    """Return host and port of a URL; None for anything else. A proxy may be given without its scheme."""
    text = text.strip()
    if "://" not in text:
        if not proxy or not text:
            return None
        text = f"http://{text}"
    try:
        url = urlsplit(text)
        port = url.port or PORTS.get(url.scheme.lower(), 0)
    except ValueError:
        return None
    return (url.hostname.rstrip("."), port) if url.hostname and port else None


def literals(entries: list[Any]) -> dict[str, str]:
    """Return the variables of a container's `env` that have their value in place."""
    return {str(entry["name"]): str(entry["value"]) for entry in entries if entry.get("value") is not None}


def service_of(host: str, home: str, domain: str) -> tuple[str, str] | None:
    """Return namespace and name of the Service that a host may be, as pods in the namespace `home` resolve it."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return None
    host = host.lower().rstrip(".")
    labels = host.removesuffix(f".{domain}").split(".")
    if not all(labels):
        return None
    if labels[-1] == "svc" and len(labels) in (3, 4):  # of a headless Service each pod has a name of its own
        return labels[-2], labels[-3]
    if host == ".".join(labels) and len(labels) <= 2:
        return (labels[1] if len(labels) == 2 else home), labels[0]
    return None


def is_certain(host: str, domain: str) -> bool:
    """Say if the host can be nothing but a Service."""
    host = host.lower().rstrip(".")
    return host.removesuffix(f".{domain}").endswith(".svc") or "." not in host
