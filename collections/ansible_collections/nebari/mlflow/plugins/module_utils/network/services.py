# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where a Service leads to. A NetworkPolicy sees the pod and its port, not the Service and the Service's port. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import RefusedInput
from .peers import Pod, address, in_namespace, pods_of, unique

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..kube.objects import Object


class PortMissing(RefusedInput):
    """A Service does not have the port. Who asked says in which value it stands."""

    def __init__(self, service: Object) -> None:
        self.service = title(service["metadata"]["namespace"], service["metadata"]["name"])
        self.ports = ", ".join(map(str, ports(service))) or "none"
        super().__init__(f"{self.service} does not have that port.", f"Use one of its ports: {self.ports}.")


@dataclass(frozen=True)
class Way:
    """Ports, and the peers that have them: none as long as nothing says who they are."""

    ports: tuple[int | str, ...]
    peers: tuple[Object, ...]
    stays: bool  # pods, wherever they run; otherwise addresses, which a failover may change

    def rule(self) -> Object:
        """Return the egress rule."""
        return {"to": [*self.peers], "ports": [{"protocol": "TCP", "port": number} for number in self.ports]}


def title(namespace: str, name: str) -> str:
    """Return a Service's name for a sentence."""
    return f"Service {name} in namespace {namespace}"


def selector(service: Object) -> str:
    """Return the label selector of a Service's pods; empty if it selects none."""
    return ",".join(f"{name}={value}" for name, value in sorted((service["spec"].get("selector") or {}).items()))


def ports(service: Object, protocol: str = "TCP") -> list[int]:
    """Return the ports that a Service has."""
    return [int(each["port"]) for each in _entries(service, protocol)]


def ways(service: Object, port: int, pods: list[Pod], slices: list[Object]) -> list[Way]:
    """Return where one port of a Service leads to. Raise PortMissing if it does not have it."""
    entry = next((each for each in _entries(service) if each["port"] == port), None)
    if service["spec"].get("clusterIP") == "None":  # its name has the pods' addresses: no port is translated
        entry = {"port": port}
        slices = [{**item, "ports": [entry]} for item in slices]
    if entry is None:
        raise PortMissing(service)
    if selector(service):
        return _of_pods(service, targets(entry, pods), pods)
    return _of_slices(service, str(entry.get("name") or ""), slices)


def targets(entry: Object, pods: list[Pod]) -> tuple[int | str, ...]:
    """Return the pods' ports behind a Service's port. Pods may give different ports the same name."""
    target = entry.get("targetPort") or entry["port"]
    if str(target).isdigit():
        return (int(target),)
    return tuple(sorted({pod.ports[target] for pod in pods if target in pod.ports})) or (str(target),)


def _entries(service: Object, protocol: str = "TCP") -> list[Object]:
    return [each for each in service["spec"].get("ports") or [] if (each.get("protocol") or "TCP") == protocol]


def _of_pods(service: Object, reached: tuple[int | str, ...], pods: list[Pod]) -> list[Way]:
    """Return the way by the Service's selector, and by address to the pods on their node's network."""
    by_labels = Way(reached, (pods_of(service["metadata"]["namespace"], service["spec"]["selector"]),), stays=True)
    on_host = [pod for pod in pods if pod.on_host]
    if not on_host:
        return [by_labels]
    by_address = Way(reached, _addresses(each for pod in on_host for each in pod.addresses), stays=False)
    return [by_address] if len(on_host) == len(pods) else [by_labels, by_address]


def _of_slices(service: Object, name: str, slices: list[Object]) -> list[Way]:
    """Read the endpoints that no selector keeps. Of pods, such as Patroni's, a failover chooses others."""
    found: list[Way] = []
    numbers = {int(each["port"]) for item in slices for each in _named(item, name)}
    for number in sorted(numbers):
        reached = [item for item in slices if number in [each["port"] for each in _named(item, name)]]
        ends = [(item, end) for item in reached for end in item.get("endpoints") or []]
        in_pods = [end for _, end in ends if (end.get("targetRef") or {}).get("kind") == "Pod"]
        others = [end for item, end in ends if end not in in_pods and item.get("addressType") != "FQDN"]
        if others or not in_pods:
            peers = _addresses(each for end in others for each in end.get("addresses") or [])
            found.append(Way((number,), peers, stays=False))
        if in_pods:
            found.append(Way((number,), (in_namespace(service["metadata"]["namespace"]),), stays=True))
    return found


def _named(item: Object, name: str) -> list[Object]:
    return [each for each in item.get("ports") or [] if each.get("port") and (each.get("name") or "") == name]


def _addresses(texts: Iterable[str]) -> tuple[Object, ...]:
    return tuple(sorted(unique(address(each) for each in texts), key=str))
