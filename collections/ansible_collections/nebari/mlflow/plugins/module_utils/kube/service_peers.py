# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Find the pods and ports behind a host name, as a NetworkPolicy names them: it never sees a Service's own port."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, TypedDict

from ..errors import ApiError, RefusedInput

if TYPE_CHECKING:
    from .api import Api, Json

NAMESPACE = "kubernetes.io/metadata.name"
LONGEST_CHAIN = 4  # of Services that are only another name


class PortMissing(RefusedInput):
    """A Service does not have the port; `ports` are those that it has."""

    def __init__(self, service: Json, ports: str) -> None:
        self.ports = ports
        super().__init__(
            f"Service {service['metadata']['name']} in namespace {service['metadata']['namespace']} does not have that "
            "port.",
            f"Use one of its ports: {ports}.",
        )


class Rule(TypedDict, total=False):
    """A port to open: for the peers in `to`, or for any address."""

    port: int | str
    to: list[dict[str, Any]]


def service_of(host: str, namespace: str, cluster_domain: str) -> tuple[str, str] | None:
    """Return namespace and name of the Service that a name may be of; None for a name outside the cluster."""
    labels = host.lower().rstrip(".").removesuffix(f".{cluster_domain}").split(".")
    if len(labels) == 1:
        return namespace, labels[0]
    if labels[-1] == "svc":
        labels = labels[:-1]
        return (labels[-1], labels[-2]) if len(labels) > 1 else None  # a third label is a pod of a StatefulSet
    return (labels[1], labels[0]) if len(labels) == 2 else None


def rules(api: Api, host: str, port: int, namespace: str, cluster_domain: str) -> list[Rule]:
    """Return what to open for a host and port. What this user may not read is taken for a host outside."""
    try:
        for _ in range(LONGEST_CHAIN):
            service = _find(api, host, namespace, cluster_domain)
            if service is None:
                break
            if service["spec"].get("type") != "ExternalName":
                return _behind(api, service, port)
            host = str(service["spec"].get("externalName") or "")
    except ApiError:
        pass
    return [{"port": port}]


def _find(api: Api, host: str, namespace: str, cluster_domain: str) -> Json | None:
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        place = service_of(host, namespace, cluster_domain)
        return api.find(f"/api/v1/namespaces/{place[0]}/services/{place[1]}") if place else None
    query = {"fieldSelector": f"spec.clusterIP={address}"}
    found: list[Json] = api.request("GET", "/api/v1/services", query=query)["items"]
    return found[0] if found else None


def _behind(api: Api, service: Json, port: int) -> list[Rule]:
    spec, metadata = service["spec"], service["metadata"]
    ports: list[Json] = spec.get("ports") or []
    headless = spec.get("clusterIP") == "None"  # its name has the pods' addresses
    entry = next((entry for entry in ports if entry["port"] == port), None)
    if entry is None and not headless:
        raise PortMissing(service, ", ".join(str(entry["port"]) for entry in ports) or "none")
    of_namespace = {"namespaceSelector": {"matchLabels": {NAMESPACE: metadata["namespace"]}}}
    if spec.get("selector"):
        target = port if headless or entry is None else entry.get("targetPort") or port
        return [{"port": target, "to": [{**of_namespace, "podSelector": {"matchLabels": spec["selector"]}}]}]
    return _of_endpoints(api, metadata, (entry or {}).get("name") or "", of_namespace) or [{"port": port}]


def _of_endpoints(api: Api, metadata: Json, name: str, of_namespace: dict[str, Any]) -> list[Rule]:
    """Read the endpoints that no selector keeps, but Patroni, for example: the pods change with a failover."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{metadata['namespace']}/endpointslices"
    query = {"labelSelector": f"kubernetes.io/service-name={metadata['name']}"}
    found: dict[tuple[int, bool], Rule] = {}
    for item in api.request("GET", path, query=query)["items"]:
        pods = any((endpoint.get("targetRef") or {}).get("kind") == "Pod" for endpoint in item.get("endpoints") or [])
        for entry in item.get("ports") or []:
            if (entry.get("name") or "") == name and entry.get("port"):
                found[entry["port"], pods] = {"port": entry["port"], **({"to": [of_namespace]} if pods else {})}
    return [found[which] for which in sorted(found)]
