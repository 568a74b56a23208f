# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which controller serves the release's route, which of its pods the server must let in, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .peers import Pod, address, admits, pods_of, unique

if TYPE_CHECKING:
    from ..kube.objects import Object
    from .reading import Reading

DEFAULT = "ingressclass.kubernetes.io/is-default-class"
LEGACY = "kubernetes.io/ingress.class"
INSTANCE, NAME = "app.kubernetes.io/instance", "app.kubernetes.io/name"
HELM = "meta.helm.sh/release-namespace"
GATEWAYS = "/apis/gateway.networking.k8s.io/v1"
TRAEFIK = "traefik.io/ingress-controller"
TRAEFIK_GROUPS = ("/apis/traefik.io/v1alpha1", "/apis/traefik.containo.us/v1alpha1")
OF_NEBARI = {"app.kubernetes.io/component": "traefik-ingress"}

NAMES = {
    "k8s.io/ingress-nginx": ({NAME: "ingress-nginx"}, {NAME: "rke2-ingress-nginx"}),
    TRAEFIK: ({NAME: "traefik"}, OF_NEBARI),
    "traefik.io/gateway-controller": ({NAME: "traefik"}, OF_NEBARI),
    "nginx.org/ingress-controller": ({NAME: "nginx-ingress"},),
    "haproxy.org/ingress-controller": ({NAME: "kubernetes-ingress"},),
    "haproxy-ingress.github.io/controller": ({NAME: "haproxy-ingress"},),
    "ingress-controllers.konghq.com/kong": ({NAME: "kong"}, {NAME: "ingress"}),
    "istio.io/ingress-controller": ({"istio": "ingressgateway"},),
    "openshift.io/ingress-to-route": (
        {"ingresscontroller.operator.openshift.io/deployment-ingresscontroller": "default"},
    ),
}
"""The labels that a controller's own installation gives to its pods, by the name in the class."""
OUTSIDE = (
    "ingress.k8s.aws/",
    "k8s.io/ingress-gce",
    "networking.gke.io/",
    "azure/application-gateway",
    "eks.amazonaws.com/",
)
"""Controllers whose proxies are load balancers of a cloud, not pods."""


class Problem(NamedTuple):
    """What keeps people from reaching the UI."""

    cause: str
    fix: str


@dataclass
class Edge:
    """What is between people and the server."""

    title: str = ""  # of the controller
    pods: list[Pod] = field(default_factory=list)
    labels: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)  # by which a pod was found
    nodes: tuple[str, ...] = ()  # addresses that pods on their node's network send from
    problems: list[Problem] = field(default_factory=list)
    outside: bool = False

    def peers(self) -> list[Object]:
        """Return what a policy must let in, so that the controller reaches the server."""
        found = [pods_of(pod.namespace, self.labels[pod.namespace, pod.name]) for pod in self.pods if not pod.on_host]
        found += [address(each) for pod in self.pods if pod.on_host for each in [*pod.addresses, *self.nodes]]
        return sorted(unique(found), key=str)


def look(reading: Reading, values: Object, home: str) -> Edge | None:
    """Find what serves the route of these values; None without a route, or for one that another operator makes."""
    route = values["route"]
    find = {"ingress": _ingress, "traefik": _traefik, "gateway": _gateway}.get(route["type"])
    if find is None:
        return None
    edge = find(reading, route, home)
    if any(pod.on_host for pod in edge.pods):
        edge.nodes = tuple(unique(_senders(reading.items("/api/v1/nodes"))))
    if not edge.pods and not edge.outside and not edge.problems and not reading.refused:
        edge.problems.append(
            Problem(
                f"No pod of {edge.title} runs in this cluster, so nothing serves {route['domain']}.",
                "Install the controller. If its pods have other labels, name them in networkPolicy.ingressController.",
            )
        )
    return edge


def complete(edge: Edge, policy: Object, home: str) -> Object:
    """Return the values of `networkPolicy` that the controller needs beyond `policy`, the chart's; empty if none."""
    if all(admits(policy["ingressController"], pod, home) for pod in edge.pods):
        return {}
    return {"ingressController": edge.peers()}


def shut_out(edge: Edge, policy: Object, home: str) -> list[Problem]:
    """Say which of the controller's pods the policy keeps away from the server."""
    kept = [pod for pod in edge.pods if not admits(policy["ingressController"], pod, home)]
    if not policy["enabled"] or not kept:
        return []
    where = f"Pod/{kept[0].name} in namespace {kept[0].namespace}"
    return [
        Problem(
            f"networkPolicy.ingressController does not let {edge.title} reach the server: it does not select {where}.",
            f"Remove networkPolicy.ingressController, or set it to {edge.peers()}.",
        )
    ]


def _ingress(reading: Reading, route: Object, home: str) -> Edge:
    wanted = route["ingress"]["className"] or (route["ingress"]["annotations"] or {}).get(LEGACY, "")
    by_annotation = bool(wanted) and not route["ingress"]["className"]
    listed = reading.get("/apis/networking.k8s.io/v1/ingressclasses")
    if listed is None:
        return Edge("the Ingress controller")
    classes = {str(each["metadata"]["name"]): each for each in listed["items"]}
    there = ", ".join(sorted(classes)) or "none"
    if wanted and wanted not in classes and not by_annotation:
        cause = f"There is no IngressClass {wanted!r} (the cluster has: {there}), so no controller serves the Ingress."
        return Edge(problems=[Problem(cause, "Set route.ingress.className to one of them, or install its controller.")])
    if not wanted:
        wanted = next((name for name, each in classes.items() if _annotation(each, DEFAULT) == "true"), "")
    if not wanted:
        cause = f"route.ingress.className is empty and no IngressClass is the default one (the cluster has: {there})."
        return Edge(problems=[Problem(cause, "Set route.ingress.className, or install an Ingress controller.")])
    chosen = classes.get(wanted) or {"metadata": {}, "spec": {}}
    controller = str(chosen["spec"].get("controller") or "")
    edge = Edge(f"the Ingress controller {controller or wanted}", outside=controller.startswith(OUTSIDE))
    if not edge.outside:
        _find(reading, edge, _labels(chosen, controller, wanted), _annotation(chosen, HELM), home)
    return edge


def _traefik(reading: Reading, route: Object, home: str) -> Edge:
    edge = Edge("Traefik")
    _find(reading, edge, [OF_NEBARI], "", home)
    if not edge.pods:
        _find(reading, edge, [*NAMES[TRAEFIK]], "", home)
    given = route["traefik"]
    named = {"route.traefik.forwardAuth": [given["forwardAuth"]], "route.traefik.middlewares": given["middlewares"]}
    for key, wanted in named.items():
        edge.problems += [problem for each in wanted or [] for problem in _of_middleware(reading, key, each, home)]
    return edge


def _of_middleware(reading: Reading, key: str, wanted: Object, home: str) -> list[Problem]:
    """Say that a middleware is missing: Traefik then serves nothing at all at the route's address."""
    name, namespace = wanted.get("name"), wanted.get("namespace") or home
    folders = [f"{group}/namespaces/{namespace}/middlewares" for group in TRAEFIK_GROUPS]
    if not name or any(reading.get(f"{folder}/{name}") for folder in folders):
        return []
    listed = [found for folder in folders if (found := reading.get(folder)) is not None]
    if not listed or reading.refused:  # no Traefik yet, or not for this user to see
        return []
    there = ", ".join(sorted({str(each["metadata"]["name"]) for found in listed for each in found["items"]})) or "none"
    cause = f"There is no Middleware {name!r} in namespace {namespace} (it has: {there}), so Traefik serves no route."
    return [Problem(cause, f"Create it, or correct {key}. On Nebari it is mlflow.access.middleware.")]


def _gateway(reading: Reading, route: Object, home: str) -> Edge:
    edge = Edge("the Gateway")
    for parent in route["gateway"]["parentRefs"]:
        name, namespace = parent["name"], parent.get("namespace") or home
        gateway = reading.get(f"{GATEWAYS}/namespaces/{namespace}/gateways/{name}")
        if gateway is None:
            if not reading.refused:
                cause = f"There is no Gateway {name} in namespace {namespace}, to which the HTTPRoute belongs."
                edge.problems.append(Problem(cause, "Create it, or correct route.gateway.parentRefs."))
            continue
        edge.title = f"Gateway {name}"
        edge.problems += _of_gateway(reading, gateway)
        found = reading.get(f"{GATEWAYS}/gatewayclasses/{gateway['spec']['gatewayClassName']}") or {}
        controller = str((found.get("spec") or {}).get("controllerName") or "")
        edge.outside = controller.startswith(OUTSIDE)
        own = [{"gateway.networking.k8s.io/gateway-name": name}, {"gateway.envoyproxy.io/owning-gateway-name": name}]
        _find(reading, edge, [*own, *_given(controller)], "", home)
    return edge


def _of_gateway(reading: Reading, gateway: Object) -> list[Problem]:
    """Say what keeps a Gateway from working, in the words of its own status."""
    name, wanted = gateway["metadata"]["name"], gateway["spec"]["gatewayClassName"]
    if reading.get(f"{GATEWAYS}/gatewayclasses/{wanted}") is None and not reading.refused:
        cause = f"Gateway {name} is of GatewayClass {wanted!r}, which the cluster does not have."
        return [Problem(cause, "Install the controller of that class, or correct the Gateway.")]
    conditions = (gateway.get("status") or {}).get("conditions") or []
    bad = [c for c in conditions if c["type"] in ("Accepted", "Programmed") and c["status"] == "False"]
    return [
        Problem(
            f"Gateway {name} is not {c['type'].lower()}: {c.get('message') or c.get('reason')}.", "Repair the Gateway."
        )
        for c in bad
    ]


def _find(reading: Reading, edge: Edge, choices: list[dict[str, str]], namespace: str, home: str) -> None:
    """Add the pods with any of these labels: in one namespace, or in all that this user may read."""
    for labels in choices:
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        local = labels is OF_NEBARI  # Nebari's Traefik serves its own namespace
        found = reading.pods(selector, namespace or (home if local else ""))
        if not found and not namespace and not local and reading.refused:
            found = reading.pods(selector, home)
        for pod in found:
            if (pod.namespace, pod.name) not in edge.labels:
                edge.labels[pod.namespace, pod.name] = labels
                edge.pods.append(pod)


def _labels(chosen: Object, controller: str, name: str) -> list[dict[str, str]]:
    """Return the labels of a controller's pods: as its own class has them, or as its installation gives them."""
    own = chosen["metadata"].get("labels") or {}
    taken = {label: own[label] for label in (NAME, INSTANCE) if label in own}
    return [taken] if NAME in taken else [*_given(controller)] or [{NAME: name}]


def _given(controller: str) -> tuple[dict[str, str], ...]:
    """Return the labels of NAMES. A controller that serves only its own class has the class's name at its end."""
    return NAMES.get(controller) or NAMES.get(controller.rpartition("/")[0], ())


def _annotation(item: Object, name: str) -> str:
    return str((item["metadata"].get("annotations") or {}).get(name, ""))


TUNNELS = (
    "projectcalico.org/IPv4IPIPTunnelAddr",
    "projectcalico.org/IPv4VXLANTunnelAddr",
    "projectcalico.org/IPv6VXLANTunnelAddr",
)


def _senders(nodes: list[Object]) -> list[str]:
    """Return the addresses from which nodes reach pods of other nodes: their own, and those of their tunnels."""
    found = []
    for node in nodes:
        listed = (node.get("status") or {}).get("addresses") or []
        found += [str(each["address"]) for each in listed if each["type"] == "InternalIP"]
        annotations = node["metadata"].get("annotations") or {}
        found += [str(annotations[name]) for name in TUNNELS if annotations.get(name)]
        pods = (node.get("spec") or {}).get("podCIDRs") or []
        found += [str(each).partition("/")[0] for each in pods]  # flannel's own address
    return found
