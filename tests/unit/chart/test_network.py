"""Who may talk to whom, and how the UI is reached from outside."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.chart.configurations import EXTERNAL_PARTS, GCS, MINIO, S3, TRAEFIK
from tests.unit.chart.rendering import Object, one, pods, refusal, render

GATEWAY = {
    "type": "gateway",
    "domain": "a.org",
    "externalAuthentication": True,
    "gateway": {"parentRefs": [{"name": "g"}]},
}
INGRESS = {"type": "ingress", "domain": "a.org", "path": "/", "externalAuthentication": True}
NEBARIAPP = {"type": "nebariapp", "domain": "a.org", "path": "/"}


def policy(objects: list[Object], component: str) -> Object:
    spec: Object = one(objects, "NetworkPolicy", f"demo-mlflow-{component}")["spec"]
    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    return spec


def egress_ports(spec: Object) -> set[int]:
    return {port["port"] for rule in spec.get("egress", []) for port in rule["ports"]}


def test_every_pod_is_closed_first() -> None:
    objects = render({"run": {"enabled": True}})
    closed = policy(objects, "default-deny")
    assert "ingress" not in closed
    assert "egress" not in closed
    labels = closed["podSelector"]["matchLabels"].items()
    for item in objects:
        found = item["metadata"]["labels"] if item["kind"] == "Pod" else {}
        if "template" in item.get("spec", {}):
            found = item["spec"]["template"]["metadata"]["labels"]
        assert not found or labels <= found.items(), item["metadata"]["name"]
    assert len(list(pods(objects))) == 5


def test_who_gets_into_the_server() -> None:
    rules = policy(render(), "tracking")["ingress"]
    assert len(rules) == 1
    assert rules[0]["ports"] == [{"protocol": "TCP", "port": 5000}]
    peers = rules[0]["from"]
    assert {"podSelector": {"matchLabels": {"component": "singleuser-server"}}} in peers
    assert {"podSelector": {"matchExpressions": [{"key": "gateway.dask.org/cluster", "operator": "Exists"}]}} in peers
    assert {"podSelector": {"matchLabels": {"mlflow.nebari.dev/client": "true"}}} in peers
    assert {"podSelector": {"matchLabels": {"app.kubernetes.io/component": "traefik-ingress"}}} in peers
    assert all(peer.get("podSelector") for peer in peers), "an empty selector would be every pod"


@pytest.mark.parametrize(
    ("values", "ports"),
    [
        ({}, {53, 5432}),
        ({"storage": GCS}, {53, 5432, 443, 80, 988, 8080}),
        ({"storage": MINIO}, {53, 5432, 443, 9000}),
        ({**EXTERNAL_PARTS, "externalDatabase": {**EXTERNAL_PARTS["externalDatabase"], "port": 6432}}, {53, 6432}),
        ({"networkPolicy": {"extraEgress": [{"ports": [{"port": 25}]}]}}, {53, 5432, 25}),
    ],
    ids=str,
)
def test_what_the_server_is_let_out_to(values: Object, ports: set[int]) -> None:
    assert egress_ports(policy(render(values), "tracking")) == ports


@pytest.mark.parametrize(("storage", "reached"), [(MINIO, False), (S3, True)], ids=["no identity", "identity"])
def test_metadata_services_are_for_identities_only(storage: Object, reached: bool) -> None:
    spec = policy(render({"storage": storage}), "tracking")
    blocks = [peer["ipBlock"] for rule in spec["egress"] for peer in rule.get("to", []) if "ipBlock" in peer]
    assert any(block["cidr"] == "169.254.0.0/16" for block in blocks) is reached
    assert all("169.254.0.0/16" in block["except"] for block in blocks if block["cidr"] == "0.0.0.0/0")


def test_who_gets_into_the_database() -> None:
    spec = policy(render(), "postgresql")
    assert "egress" not in spec
    own, labelled = spec["ingress"][0]["from"]
    components = own["podSelector"]["matchExpressions"][0]["values"]
    assert components == ["tracking", "migrate"]
    assert labelled == {"podSelector": {"matchLabels": {"mlflow.nebari.dev/database-client": "true"}}}


def test_policies_can_be_left_out() -> None:
    assert not [item for item in render({"networkPolicy": {"enabled": False}}) if item["kind"] == "NetworkPolicy"]


@pytest.mark.parametrize(
    ("served", "group"),
    [
        ([], "traefik.io/v1alpha1"),
        (["traefik.io/v1alpha1"], "traefik.io/v1alpha1"),
        (["traefik.containo.us/v1alpha1"], "traefik.containo.us/v1alpha1"),
        (["traefik.containo.us/v1alpha1", "traefik.io/v1alpha1"], "traefik.io/v1alpha1"),
    ],
    ids=str,
)
def test_traefik_of_the_group_that_is_served(served: list[str], group: str) -> None:
    arguments = [argument for version in served for argument in ("--api-versions", version)]
    objects = render({"route": TRAEFIK}, *arguments)
    made = [item for item in objects if item["kind"] in {"IngressRoute", "Middleware"}]
    assert [item["apiVersion"] for item in made] == [group] * 3
    plain = [{**item, "apiVersion": ""} for item in render({"route": TRAEFIK})]
    assert [{**item, "apiVersion": ""} for item in objects] == plain


def test_traefik_asks_for_the_login_first() -> None:
    objects = render({"route": TRAEFIK})
    spec = one(objects, "IngressRoute")["spec"]
    assert spec["entryPoints"] == ["websecure"]
    assert "tls" not in spec, "the entry point's certificates hold only for a route that names none"
    rule = spec["routes"][0]
    assert rule["match"] == "Host(`nebari.example.org`) && (Path(`/mlflow`) || PathPrefix(`/mlflow/`))"
    names = [middleware["name"] for middleware in rule["middlewares"]]
    assert names == ["traefik-forward-auth", "demo-mlflow-tracking-slash", "demo-mlflow-tracking-prefix"]
    assert rule["services"] == [{"name": "demo-mlflow-tracking", "port": 5000}]
    assert one(objects, "Middleware", names[2])["spec"] == {"stripPrefix": {"prefixes": ["/mlflow"]}}
    assert one(objects, "Middleware", names[1])["spec"]["redirectRegex"] == {
        "regex": r"^(https?://[^/?]+/mlflow)(\?.*)?$",
        "replacement": "${1}/${2}",
    }


def test_traefik_at_the_root_needs_no_prefix() -> None:
    objects = render({"route": {**TRAEFIK, "path": "/"}})
    rule = one(objects, "IngressRoute")["spec"]["routes"][0]
    assert rule["match"] == "Host(`nebari.example.org`)"
    assert [middleware["name"] for middleware in rule["middlewares"]] == ["traefik-forward-auth"]
    assert not [item for item in objects if item["kind"] == "Middleware"]


def test_gateway() -> None:
    redirect, forward = one(render({"route": GATEWAY}), "HTTPRoute")["spec"]["rules"]
    assert redirect["matches"] == [{"path": {"type": "Exact", "value": "/mlflow"}}]
    assert redirect["filters"][0]["requestRedirect"]["path"]["replaceFullPath"] == "/mlflow/"
    assert forward["matches"] == [{"path": {"type": "PathPrefix", "value": "/mlflow"}}]
    assert forward["filters"][0]["urlRewrite"]["path"]["replacePrefixMatch"] == "/"
    assert forward["backendRefs"] == [{"name": "demo-mlflow-tracking", "port": 5000}]


def test_ingress() -> None:
    spec = one(render({"route": {**INGRESS, "ingress": {"className": "nginx", "tlsSecret": "t"}}}), "Ingress")["spec"]
    assert spec["ingressClassName"] == "nginx"
    assert spec["rules"][0]["http"]["paths"][0]["path"] == "/"
    assert spec["tls"] == [{"hosts": ["a.org"], "secretName": "t"}]


def test_nebariapp() -> None:
    spec = one(render({"route": NEBARIAPP}), "NebariApp")["spec"]
    assert spec["hostname"] == "a.org"
    assert spec["service"] == {"name": "demo-mlflow-tracking", "port": 5000}
    assert spec["auth"] == {"enabled": True, "provider": "keycloak", "provisionClient": True}


@pytest.mark.parametrize(
    ("route", "sentence"),
    [
        ({"type": "traefik"}, "route.domain is empty"),
        ({"type": "traefik", "domain": "a.org"}, "set route.traefik.forwardAuth.name"),
        ({**INGRESS, "externalAuthentication": False}, "have the Ingress controller ask for a login"),
        ({**GATEWAY, "externalAuthentication": False}, "attach a policy"),
        ({**NEBARIAPP, "nebariapp": {"auth": {"enabled": False}}}, "route.nebariapp.auth.enabled"),
        ({**INGRESS, "path": "/mlflow"}, "route.ingress.annotations"),
        ({**NEBARIAPP, "path": "/mlflow"}, "set route.path to /"),
        ({**GATEWAY, "gateway": {}}, "route.gateway.parentRefs is empty"),
    ],
    ids=str,
)
def test_routes_that_would_not_work_or_be_open(route: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal({"route": route})
