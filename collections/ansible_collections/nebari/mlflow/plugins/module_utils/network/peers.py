# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""NetworkPolicy peers: what they select, and what a person reads of them. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..kube.objects import Object

NAMESPACE = "kubernetes.io/metadata.name"
EVERYWHERE = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True)
class Pod:
    """What a policy sees of a pod. One on its node's network has the node's addresses and is no pod for a policy."""

    namespace: str
    name: str
    labels: dict[str, str] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    ports: dict[str, int] = field(default_factory=dict)  # of its containers, by name
    on_host: bool = False
    ready: bool = True

    @classmethod
    def of(cls, item: Object) -> Pod:
        """Read a pod of the API."""
        spec, status, metadata = item.get("spec") or {}, item.get("status") or {}, item["metadata"]
        on_host = bool(spec.get("hostNetwork"))
        key, single = ("hostIPs", "hostIP") if on_host else ("podIPs", "podIP")
        listed = [str(entry["ip"]) for entry in status.get(key) or []] or [str(status.get(single) or "")]
        ports = {
            str(port.get("name") or port["containerPort"]): int(port["containerPort"])
            for container in spec.get("containers") or []
            for port in container.get("ports") or []
        }
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or [])
        return cls(
            metadata["namespace"],
            metadata["name"],
            metadata.get("labels") or {},
            tuple(address for address in listed if address),
            ports,
            on_host,
            ready,
        )


def in_namespace(name: str) -> Object:
    """Return the peer for every pod of a namespace."""
    return {"namespaceSelector": {"matchLabels": {NAMESPACE: name}}}


def pods_of(namespace: str, labels: dict[str, str]) -> Object:
    """Return the peer for the pods with these labels in a namespace."""
    return {**in_namespace(namespace), "podSelector": {"matchLabels": dict(sorted(labels.items()))}}


def address(text: str) -> Object:
    """Return the peer for one address."""
    found = ipaddress.ip_address(text)
    return {"ipBlock": {"cidr": f"{found}/{found.max_prefixlen}"}}


def admits(peers: Iterable[Object], pod: Pod, home: str) -> bool:
    """Say if one of the peers of a policy in the namespace `home` selects the pod."""
    return any(_selects(peer, pod, home) for peer in peers)


def _selects(peer: Object, pod: Pod, home: str) -> bool:
    if "ipBlock" in peer:
        return bool(pod.addresses) and all(_within(peer["ipBlock"], each) for each in pod.addresses[:1])
    if pod.on_host:
        return False
    if "namespaceSelector" in peer:
        if not matches(peer["namespaceSelector"] or {}, {NAMESPACE: pod.namespace}):
            return False
    elif pod.namespace != home:
        return False
    return matches(peer.get("podSelector") or {}, pod.labels)


def _within(block: Object, text: str) -> bool:
    found = ipaddress.ip_address(text)

    def inside(cidr: str) -> bool:
        network = ipaddress.ip_network(cidr, strict=False)
        return network.version == found.version and found in network

    return inside(block["cidr"]) and not any(inside(each) for each in block.get("except") or [])


def matches(selector: Object, labels: dict[str, str]) -> bool:
    """Say if a label selector selects these labels; an empty one selects all."""
    if any(labels.get(name) != value for name, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(each, labels) for each in selector.get("matchExpressions") or [])


def _holds(expression: Object, labels: dict[str, str]) -> bool:
    name, values = expression["key"], expression.get("values") or []
    return {
        "In": labels.get(name) in values,
        "NotIn": labels.get(name) not in values,
        "Exists": name in labels,
        "DoesNotExist": name not in labels,
    }.get(str(expression["operator"]), False)


def unique(items: Iterable[Any]) -> list[Any]:
    """Return the items in their order, each once."""
    found: list[Any] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found


def describe(policy: Object) -> list[str]:
    """Say in a line for each rule what the pods of a policy may reach."""
    lines = []
    for rule in policy["spec"].get("egress") or []:
        ports = _ports(rule.get("ports") or [])
        peers = unique(_peer(peer) for peer in rule.get("to") or []) or ["every address"]
        lines.append(f"{ports} to {', '.join(peers)}")
    return lines or ["nothing"]


def _ports(ports: list[Object]) -> str:
    if not ports:
        return "every port"
    found: dict[str, list[str]] = {}
    for port in ports:
        end = f"-{port['endPort']}" if port.get("endPort") else ""
        found.setdefault(str(port.get("port", "every port")) + end, []).append(str(port.get("protocol", "TCP")))
    return ", ".join(f"{'/'.join(unique(protocols))} {number}" for number, protocols in found.items())


def _peer(peer: Object) -> str:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        if block["cidr"] in EVERYWHERE:
            return "every address" + (" that is not link-local" if block.get("except") else "")
        return str(block["cidr"])
    where = _selector(peer.get("namespaceSelector"), "namespace ")
    pods = _selector(peer.get("podSelector"), "pods ") or "every pod"
    return f"{pods} in {where}" if where else f"{pods} in every namespace" if "namespaceSelector" in peer else pods


def _selector(selector: Object | None, prefix: str) -> str:
    if not selector:
        return ""
    parts = [
        value if name == NAMESPACE else f"{name}={value}" for name, value in (selector.get("matchLabels") or {}).items()
    ]
    for each in selector.get("matchExpressions") or []:
        values = f" ({', '.join(each['values'])})" if each.get("values") else ""
        parts.append(f"{each['key']} {each['operator']}{values}")
    return prefix + ",".join(parts)
