"""Which controller serves a route, what keeps it from the server, and what an answer means: tables."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.network import trial
from ansible_collections.nebari.mlflow.plugins.module_utils.network.known import complete
from ansible_collections.nebari.mlflow.plugins.module_utils.network.peers import Pod

from tests.unit.chart.rendering import CHART
from tests.unit.plugins.cluster import Cluster, Object, named, pod, service

TRAEFIK = {"app.kubernetes.io/name": "traefik", "app.kubernetes.io/instance": "traefik-kube-system"}
NGINX = {"app.kubernetes.io/name": "rke2-ingress-nginx", "app.kubernetes.io/instance": "rke2-ingress-nginx"}
NEBARI = {"app.kubernetes.io/component": "traefik-ingress"}


def ingress_class(name: str, controller: str, labels: Object | None = None, **annotations: str) -> Object:
    marks = {
        key.replace("_default", "ingressclass.kubernetes.io/is-default-class"): v for key, v in annotations.items()
    }
    item = named("IngressClass", name, labels=labels or {}, annotations=marks)
    return {**item, "spec": {"controller": controller}}


LOGIN = named("Middleware", "login", "dev")
K3S = (
    ingress_class("traefik", "traefik.io/ingress-controller", TRAEFIK, _default="true"),
    pod("traefik-1", "kube-system", TRAEFIK),
    LOGIN,
)
RKE2 = (ingress_class("nginx", "k8s.io/ingress-nginx", NGINX), pod("nginx-1", "kube-system", NGINX))
PLAIN = (
    ingress_class("nginx", "k8s.io/ingress-nginx"),
    pod("nginx-1", "ingress-nginx", {"app.kubernetes.io/name": "ingress-nginx"}),
)
HAPROXY = (
    ingress_class("haproxy", "haproxy.org/ingress-controller/haproxy"),
    pod("haproxy-1", "haproxy-controller", {"app.kubernetes.io/name": "kubernetes-ingress"}),
)
NODE: Object = {
    **named("Node", "n", annotations={"projectcalico.org/IPv4VXLANTunnelAddr": "10.244.3.7"}),
    "spec": {"podCIDRs": ["10.244.3.0/24"]},
    "status": {"addresses": [{"type": "InternalIP", "address": "192.168.1.6"}, {"type": "Hostname", "address": "n"}]},
}
HOST = (RKE2[0], pod("nginx-1", "kube-system", NGINX, host=True), NODE)


def ingress(name: str = "", **more: Any) -> Object:
    given = {"type": "ingress", "domain": "a.org", "path": "/", "externalAuthentication": True}
    return {"route": {**given, "ingress": {"className": name}, **more}}


ROUTE = {"route": {"type": "traefik", "domain": "a.org", "traefik": {"forwardAuth": {"name": "login"}}}}
LIMIT = {"name": "limit", "namespace": "edge"}
MORE = {"route": {**ROUTE["route"], "traefik": {"forwardAuth": {"name": "login"}, "middlewares": [LIMIT]}}}
GATEWAY = {
    "route": {
        "type": "gateway",
        "domain": "a.org",
        "externalAuthentication": True,
        "gateway": {"parentRefs": [{"name": "public", "namespace": "gateways"}]},
    }
}
PUBLIC: Object = {**named("Gateway", "public", "gateways"), "spec": {"gatewayClassName": "envoy"}}
ENVOY = {**named("GatewayClass", "envoy"), "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"}}
PROXY = pod("envoy-1", "gateways", {"gateway.networking.k8s.io/gateway-name": "public"})


def peer(namespace: str, labels: Object) -> Object:
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "podSelector": {"matchLabels": labels},
    }


@pytest.mark.parametrize(
    ("values", "objects", "expected"),
    [
        (ingress(), K3S, [peer("kube-system", TRAEFIK)]),
        (ingress("traefik"), K3S, [peer("kube-system", TRAEFIK)]),
        (ROUTE, K3S, [peer("kube-system", {"app.kubernetes.io/name": "traefik"})]),
        (ROUTE, (*K3S, pod("t", "dev", NEBARI)), None),
        (ROUTE, (pod("t", "traefik", {"app.kubernetes.io/name": "traefik"}), LOGIN), None),
        (ingress("nginx"), RKE2, [peer("kube-system", NGINX)]),
        (ingress("nginx"), PLAIN, None),
        (ingress("haproxy"), HAPROXY, [peer("haproxy-controller", {"app.kubernetes.io/name": "kubernetes-ingress"})]),
        (
            ingress("nginx"),
            HOST,
            [
                {"ipBlock": {"cidr": f"{each}/32"}}
                for each in ("10.244.3.0", "10.244.3.7", "192.168.1.5", "192.168.1.6")
            ],
        ),
        (GATEWAY, (PUBLIC, ENVOY, PROXY), [peer("gateways", {"gateway.networking.k8s.io/gateway-name": "public"})]),
    ],
    ids=[
        "k3s, the default class",
        "k3s, by name",
        "k3s, by Traefik's own route",
        "Nebari's own Traefik",
        "Traefik in its own namespace",
        "RKE2",
        "ingress-nginx",
        "HAProxy, for its own class",
        "on the node's network",
        "a Gateway",
    ],
)
def test_the_controller_of_the_cluster_is_let_in(
    values: Object, objects: tuple[Object, ...], expected: list[Object] | None
) -> None:
    api: Any = Cluster(*objects)
    known = complete(api, str(CHART), values, "dev")
    assert known.values.get("networkPolicy", {}).get("ingressController") == expected
    assert known.warnings == []


ALB = ingress_class("alb", "ingress.k8s.aws/alb")
WRONG = {"networkPolicy": {"ingressController": [{"podSelector": {"matchLabels": {"app": "wrong"}}}]}}
NOT_READY: Object = {
    **PUBLIC,
    "status": {"conditions": [{"type": "Programmed", "status": "False", "message": "no address for the Gateway"}]},
}


@pytest.mark.parametrize(
    ("values", "objects", "sentence"),
    [
        (ingress("nginx"), K3S, "There is no IngressClass 'nginx' (the cluster has: traefik)"),
        (ingress("nginx"), (), "There is no IngressClass 'nginx' (the cluster has: none)"),
        (ingress(), RKE2, "no IngressClass is the default one (the cluster has: nginx)"),
        (ingress("nginx"), RKE2[:1], "No pod of the Ingress controller k8s.io/ingress-nginx runs in this cluster"),
        (ROUTE, (LOGIN,), "No pod of Traefik runs in this cluster, so nothing serves a.org"),
        (ROUTE, K3S[:2], "There is no Middleware 'login' in namespace dev (it has: none)"),
        (ROUTE, (*K3S[:2], named("Middleware", "logon", "dev")), "(it has: logon)"),
        (ROUTE, (*K3S[:2], named("Middleware", "login", "other")), "There is no Middleware 'login' in namespace dev"),
        (MORE, K3S, "There is no Middleware 'limit' in namespace edge"),
        (MORE, (*K3S, named("Middleware", "limit", "edge")), ""),
        ({**ROUTE, **WRONG}, K3S, "does not let Traefik reach the server: it does not select Pod/traefik-1"),
        ({**ROUTE, "networkPolicy": {"enabled": False}}, (LOGIN,), "No pod of Traefik runs"),
        ({**ROUTE, "networkPolicy": {"enabled": False, **WRONG["networkPolicy"]}}, K3S, ""),
        (GATEWAY, (), "There is no Gateway public in namespace gateways"),
        (GATEWAY, (PUBLIC, PROXY), "of GatewayClass 'envoy', which the cluster does not have"),
        (GATEWAY, (NOT_READY, ENVOY, PROXY), "is not programmed: no address for the Gateway"),
        (ingress("alb"), (ALB,), ""),
        (ingress("", ingress={"className": "", "annotations": {"kubernetes.io/ingress.class": "nginx"}}), PLAIN, ""),
        ({"route": {"type": "nebariapp", "domain": "a.org", "path": "/"}}, (), ""),
    ],
)
def test_what_keeps_people_from_the_ui_is_said_at_once(
    values: Object, objects: tuple[Object, ...], sentence: str
) -> None:
    api: Any = Cluster(*objects)
    told = complete(api, str(CHART), values, "dev").warnings
    assert sentence in " ".join(told)
    assert bool(told) is bool(sentence)


def test_middlewares_that_may_not_be_read_are_not_called_missing() -> None:
    api: Any = Cluster(*K3S[:2], refused=("middlewares",))
    assert complete(api, str(CHART), ROUTE, "dev").warnings == []


@pytest.mark.parametrize("refused", [("pods",), ("ingressclasses", "pods")])
def test_what_may_not_be_read_is_not_called_missing(refused: tuple[str, ...]) -> None:
    api: Any = Cluster(*RKE2, refused=refused)
    known = complete(api, str(CHART), ingress("nginx"), "dev")
    assert known.warnings == []
    assert known.values == ingress("nginx")


@pytest.mark.parametrize(
    ("status", "body", "ok", "says"),
    [
        (200, "<title>MLflow</title>", True, "answers with MLflow's UI"),
        (200, "<title>Welcome to nginx</title>", False, "answers 200: <title>Welcome"),
        (307, "", True, "asks for a login (HTTP 307)"),
        (401, "Unauthorized", True, "asks for a login (HTTP 401)"),
        (404, "404 page not found", False, "it does not know the route"),
        (504, "Gateway Timeout", False, "networkPolicy.ingressController must select it"),
        (502, "Bad Gateway", False, "does not reach the server"),
        (0, "", False, "does not answer within 8 s"),
        (403, "Invalid Host header", False, "answers 403: Invalid Host header"),
        (500, "", False, "answers 500: an empty page"),
    ],
)
def test_an_answer_is_put_into_words(status: int, body: str, ok: bool, says: str) -> None:
    found, sentence = trial.judge(status, body, "Pod/x in namespace y")
    assert found is ok
    assert says in sentence


POD = Pod("edge", "t", TRAEFIK, ports={"websecure": 8443, "web": 8000})


@pytest.mark.parametrize(
    ("ports", "services", "tls", "number"),
    [
        (POD.ports, [service("t", "edge", [{"port": 443, "targetPort": "websecure"}], TRAEFIK)], True, 8443),
        (POD.ports, [service("t", "edge", [{"port": 443, "targetPort": 9443}], TRAEFIK)], True, 9443),
        (POD.ports, [service("t", "edge", [{"port": 80, "targetPort": "web"}], TRAEFIK)], False, 8000),
        (POD.ports, [service("t", "edge", [{"port": 443}], {"app": "other"})], True, 8443),
        ({"a": 9000, "b": 8443}, [], True, 8443),
        ({"web": 80}, [], False, 80),
        ({}, [], True, 8443),
        ({}, [], False, 80),
    ],
)
def test_the_controllers_port(ports: dict[str, int], services: list[Object], tls: bool, number: int) -> None:
    assert trial.target(Pod("edge", "t", TRAEFIK, ports=ports), services, tls=tls) == number
