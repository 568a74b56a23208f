"""A cluster that answers reads from a list of objects, with its label selectors, and refuses what it is told to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ApiError
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.errors import NotFoundError

Object = dict[str, Any]
PLURALS = {
    "Service": "services",
    "Pod": "pods",
    "Node": "nodes",
    "EndpointSlice": "endpointslices",
    "IngressClass": "ingressclasses",
    "Gateway": "gateways",
    "GatewayClass": "gatewayclasses",
    "ConfigMap": "configmaps",
    "Secret": "secrets",
    "DaemonSet": "daemonsets",
    "Middleware": "middlewares",
    "IngressRoute": "ingressroutes",
    "Ingress": "ingresses",
    "HTTPRoute": "httproutes",
    "NebariApp": "nebariapps",
}


class Cluster:
    """Stands for `Api`: only reads are there, since nothing that is tested may write."""

    def __init__(self, *objects: Object, refused: tuple[str, ...] = ()) -> None:
        self.objects = objects
        self.refused = refused
        self.asked: list[str] = []

    def request(self, method: str, path: str, *, query: Mapping[str, Any] | None = None, **_: Any) -> Object:
        assert method == "GET"
        self.asked.append(path)
        match = re.fullmatch(r"/apis?/.*?(?:/namespaces/(?P<ns>[^/]+))?/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?", path)
        assert match is not None, path
        if match["name"] in PLURALS.values():
            plural, name = match["name"], None
        else:
            plural, name = match["plural"], match["name"]
        if plural in self.refused:
            raise ApiError(403, {}, f"no {plural} for you")
        found = [item for item in self.objects if PLURALS[item["kind"]] == plural]
        if match["ns"]:
            found = [item for item in found if item["metadata"].get("namespace") == match["ns"]]
        if name:
            same = [item for item in found if item["metadata"]["name"] == unquote(name)]
            if not same:
                raise NotFoundError(404, {}, f"no {path}")
            return same[0]
        field, wanted = str((query or {}).get("fieldSelector", "")).partition("=")[::2]
        assert field in ("", "spec.clusterIP"), field
        if field:
            found = [item for item in found if item["spec"].get("clusterIP") == wanted]
        selector = str((query or {}).get("labelSelector", ""))
        return {"items": [item for item in found if selects(selector, item["metadata"].get("labels") or {})]}

    def find(self, path: str) -> Object | None:
        try:
            return self.request("GET", path)
        except NotFoundError:
            return None


def selects(selector: str, labels: Mapping[str, str]) -> bool:
    """Whether labels match a selector as the API server reads it: `a=b`, `a in (b,c)`."""
    for part in re.split(r",(?![^(]*\))", selector) if selector else []:
        several = re.fullmatch(r"(\S+) in \((.*)\)", part)
        name, values = (several[1], several[2].split(",")) if several else (part.split("=")[0], [part.split("=")[1]])
        if labels.get(name) not in values:
            return False
    return True


def named(kind: str, name: str, namespace: str = "", **metadata: Any) -> Object:
    return {"kind": kind, "metadata": {"name": name, **({"namespace": namespace} if namespace else {}), **metadata}}


def service(name: str, namespace: str, ports: list[Object], selector: Object | None = None, **more: Any) -> Object:
    spec = {"clusterIP": "10.96.0.7", "ports": ports, **({"selector": selector} if selector else {}), **more}
    return {**named("Service", name, namespace, labels=more.pop("labels", selector or {})), "spec": spec}


def endpoints(name: str, of: str, namespace: str, ports: list[Object], *ends: Object, kind: str = "IPv4") -> Object:
    """Return an EndpointSlice of a Service."""
    marks = {"kubernetes.io/service-name": of}
    return {
        **named("EndpointSlice", name, namespace, labels=marks),
        "addressType": kind,
        "ports": ports,
        "endpoints": [*ends],
    }


def pod(name: str, namespace: str, labels: Object, ports: Object | None = None, *, host: bool = False) -> Object:
    """Return a pod that is ready."""
    return {
        **named("Pod", name, namespace, labels=labels),
        "spec": {
            **({"hostNetwork": True} if host else {}),
            "containers": [{"ports": [{"name": k, "containerPort": v} for k, v in (ports or {}).items()]}],
        },
        "status": {
            "phase": "Running",
            "podIP": "10.244.0.9",
            "hostIP": "192.168.1.5",
            "hostIPs": [{"ip": "192.168.1.5"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
