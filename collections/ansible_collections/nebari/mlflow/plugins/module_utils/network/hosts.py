# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Follow a host name or an address to what a NetworkPolicy must open for it."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from . import destinations, services

if TYPE_CHECKING:
    from ..kube.objects import Object
    from .reading import Reading

LONGEST_CHAIN = 4  # of Services that are only another name


class Found(NamedTuple):
    """What is behind a host."""

    ways: list[services.Way] | None = None  # None: a host outside the cluster, as far as this user may read
    missing: str = ""  # the Service that the host must be, if it does not exist


def follow(reading: Reading, host: str, port: int, namespace: str, domain: str) -> Found:
    """Find what is behind a host and port, as pods in the namespace reach it. Raise PortMissing."""
    for _ in range(LONGEST_CHAIN):
        named = destinations.service_of(host, namespace, domain)
        service = reading.service(*named) if named else _at_address(reading, host)
        if service is None:
            known = named and destinations.is_certain(host, domain) and not reading.refused
            return Found(missing=services.title(*named) if named and known else "")
        if service["spec"].get("type") != "ExternalName":
            return Found(_behind(reading, service, port))
        host = str(service["spec"].get("externalName") or "")
    return Found()


def _at_address(reading: Reading, host: str) -> Object | None:
    """Return the Service whose own address it is."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    found = reading.items("/api/v1/services", fieldSelector=f"spec.clusterIP={address}")
    return found[0] if found else None


def _behind(reading: Reading, service: Object, port: int) -> list[services.Way]:
    chosen, place = services.selector(service), service["metadata"]["namespace"]
    pods = reading.pods(chosen, place) if chosen else []
    slices = [] if chosen else reading.slices(place, service["metadata"]["name"])
    return services.ways(service, port, pods, slices)
