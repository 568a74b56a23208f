# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Who answers the cluster's names, and at which port of which pod."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from . import services
from .peers import Pod, address, admits, matches, pods_of, unique
from .reading import together

if TYPE_CHECKING:
    from ..kube.objects import Object
    from .reading import Reading

PLACES = (
    ("kube-system", "k8s-app in (kube-dns,coredns)", "k8s-app in (kube-dns,coredns,node-local-dns)"),
    (
        "openshift-dns",
        "dns.operator.openshift.io/owning-dns=default",
        "dns.operator.openshift.io/daemonset-dns=default",
    ),
)
"""Where distributions have their DNS, and the labels of its Service and of its pods."""
CACHE = {"matchLabels": {"k8s-app": "node-local-dns"}}


@dataclass(frozen=True)
class Dns:
    """The DNS of a cluster."""

    service: Object
    pods: list[Pod] = field(default_factory=list)
    has_cache: bool = False  # on every node, at the Service's own address


def look(reading: Reading) -> Dns | None:
    """Read the DNS of the cluster; None if it is not where distributions have it."""
    for namespace, labels, pods_labels in PLACES:
        listed, pods = together(
            partial(reading.items, f"/api/v1/namespaces/{namespace}/services", labelSelector=labels),
            partial(reading.pods, pods_labels, namespace),
        )
        found = sorted((each for each in listed if 53 in services.ports(each, "UDP")), key=_order)
        if found:
            service = {**found[0], "metadata": {"namespace": namespace, **found[0]["metadata"]}}
            chosen = {"matchLabels": service["spec"].get("selector") or {}}
            own = [pod for pod in pods if chosen["matchLabels"] and matches(chosen, pod.labels)]
            return Dns(service, own, any(matches(CACHE, pod.labels) for pod in pods))
    return None


def complete(dns: Dns, policy: Object, home: str) -> Object:
    """Return the values of `networkPolicy` that the DNS needs to differ from `policy`, the chart's; empty if none."""
    namespace, chosen = dns.service["metadata"]["namespace"], dns.service["spec"].get("selector") or {}
    peers: list[Object] = []
    if not chosen or any(pod.on_host for pod in dns.pods) or dns.has_cache:
        peers += [address(each) for each in _addresses(dns.service)]
    if any(pod.on_host for pod in dns.pods):
        peers += sorted((address(each) for pod in dns.pods for each in pod.addresses if pod.on_host), key=str)
    elif chosen and not all(admits(policy["dns"], pod, home) for pod in dns.pods or [Pod(namespace, "", chosen)]):
        peers.append(pods_of(namespace, chosen))
    numbers = sorted({number for each in dns.service["spec"].get("ports") or [] for number in _ports(each, dns.pods)})
    found: Object = {}
    missing = [peer for peer in unique(peers) if peer not in policy["dns"]]
    if missing:
        found["dns"] = [*policy["dns"], *missing]
    if not {*numbers} <= {*policy["dnsPorts"]}:
        found["dnsPorts"] = sorted({*policy["dnsPorts"], *numbers})
    return found


def _order(service: Object) -> tuple[bool, str]:
    name = str(service["metadata"]["name"])
    return name != "kube-dns", name


def _addresses(service: Object) -> list[str]:
    spec = service["spec"]
    listed = spec.get("clusterIPs") or [spec.get("clusterIP")]
    return [str(each) for each in listed if each and each != "None"]


def _ports(port: Object, pods: list[Pod]) -> list[int]:
    """Return the pods' ports behind a port of the Service that is for names: 53, whatever it is called."""
    if int(port["port"]) != 53:
        return []
    return [each for each in services.targets(port, pods) if isinstance(each, int)]
