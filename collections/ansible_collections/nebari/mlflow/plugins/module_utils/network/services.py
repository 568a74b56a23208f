# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where a Service leads to. A NetworkPolicy sees the pod and its port, not the Service and the Service's port. Pure."""

from __future__ import annotations

from typing import Any

from .peers import Pod, address, pods_of, unique

Object = dict[str, Any]


def selector(service: Object) -> str:
    """Return the label selector of a Service's pods; empty if it selects none."""
    return ",".join(f"{name}={value}" for name, value in sorted((service["spec"].get("selector") or {}).items()))


def ports(service: Object, protocol: str = "TCP") -> list[int]:
    """Return the ports that a Service has."""
    return [int(each["port"]) for each in service["spec"].get("ports") or [] if _protocol(each) == protocol]


def is_headless(service: Object) -> bool:
    return str(service["spec"].get("clusterIP", "")) == "None"


def rule(service: Object, port: int, pods: list[Pod], slices: list[Object]) -> Object | None:
    """Return the egress rule for one port of a Service; None while nothing says where it leads to."""
    own = next((each for each in service["spec"].get("ports") or [] if each["port"] == port), None)
    if selector(service):
        reached = _targets(own, port, pods) if own and not is_headless(service) else [port]
        peers = [pods_of(service["metadata"]["namespace"], service["spec"]["selector"])]
        if any(pod.on_host for pod in pods):
            peers = [address(each) for pod in pods for each in pod.addresses if pod.on_host]
    else:
        wanted = own.get("name") if own else None
        reached = sorted(
            {
                int(each["port"])
                for item in slices
                for each in item.get("ports") or []
                if each.get("port") and (wanted is None or (each.get("name") or None) == wanted)
            }
        )
        peers = [
            address(each)
            for item in slices
            if item.get("addressType") != "FQDN"
            for endpoint in item.get("endpoints") or []
            for each in endpoint.get("addresses") or []
        ]
    if not peers or not reached:
        return None
    ordered = sorted(unique(peers), key=str)
    return {"to": ordered, "ports": [{"protocol": "TCP", "port": number} for number in reached]}


def _targets(port: Object, number: int, pods: list[Pod]) -> list[int | str]:
    """Return the pods' ports behind a Service's port. Pods may give different ports the same name."""
    target = port.get("targetPort") or number
    if isinstance(target, int) or str(target).isdigit():
        return [int(target)]
    found = sorted({pod.ports[target] for pod in pods if target in pod.ports})
    return [*found] or [str(target)]


def _protocol(port: Object) -> str:
    return str(port.get("protocol") or "TCP")
