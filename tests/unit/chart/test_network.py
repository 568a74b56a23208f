"""Who may talk to whom, and how the UI is reached from outside."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.chart.configurations import AZURE, EXTERNAL_PARTS, GCS, MINIO, S3, TRAEFIK
from tests.unit.chart.rendering import Object, one, pods, refusal, render

GATEWAY = {
    "type": "gateway",
    "domain": "a.org",
    "externalAuthentication": True,
    "gateway": {"parentRefs": [{"name": "g"}]},
}
INGRESS = {"type": "ingress", "domain": "a.org", "path": "/", "externalAuthentication": True}
NEBARIAPP = {"type": "nebariapp", "domain": "a.org", "path": "/"}
DNS = {53, 5353}


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


def endpoint(url: str) -> Object:
    return {"storage": {**MINIO, "env": {"MLFLOW_S3_ENDPOINT_URL": url}}}


def variable(name: str, value: str) -> Object:
    return {"tracking": {"extraEnvVars": [{"name": name, "value": value}]}}


@pytest.mark.parametrize(
    ("values", "ports"),
    [
        ({}, {*DNS, 5432}),
        ({"storage": GCS}, {*DNS, 5432, 443, 80, 988}),
        ({"storage": S3}, {*DNS, 5432, 443}),
        ({"storage": AZURE}, {*DNS, 5432, 443}),
        ({"storage": MINIO}, {*DNS, 5432, 443, 9000}),
        ({**EXTERNAL_PARTS, "externalDatabase": {**EXTERNAL_PARTS["externalDatabase"], "port": 6432}}, {*DNS, 6432}),
        ({"networkPolicy": {"extraEgress": [{"ports": [{"port": 25}]}]}}, {*DNS, 5432, 25}),
        ({"networkPolicy": {"egress": [{"ports": [{"port": 9000}]}]}}, {*DNS, 5432, 9000}),
        ({"networkPolicy": {"dnsPorts": [53, 1053]}}, {53, 1053, 5432}),
        (endpoint("http://[fd00::9]:9000/path"), {*DNS, 5432, 443, 9000}),
        (endpoint("https://me@s3.example.org:8443"), {*DNS, 5432, 443, 8443}),
        (endpoint("http://s3.example.org/a:1"), {*DNS, 5432, 443, 80}),
        (variable("HTTPS_PROXY", "http://proxy.corp:3128"), {*DNS, 5432, 3128}),
        (variable("https_proxy", "proxy.corp:3128"), {*DNS, 5432, 3128}),
        (variable("NO_PROXY", "http://a:1"), {*DNS, 5432}),
        (variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel.svc:4318"), {*DNS, 5432, 4318}),
        (variable("HOMEPAGE", "http://example.org:1234"), {*DNS, 5432}),
        (
            {
                "tracking": {
                    "extraEnvVars": [{"name": "HTTP_PROXY", "valueFrom": {"secretKeyRef": {"name": "p", "key": "k"}}}]
                }
            },
            {*DNS, 5432},
        ),
    ],
    ids=str,
)
def test_what_the_server_is_let_out_to(values: Object, ports: set[int]) -> None:
    assert egress_ports(policy(render(values), "tracking")) == ports


def link_local(spec: Object) -> set[tuple[str, int]]:
    """Return the link-local addresses and ports that the pod reaches, but for DNS."""
    return {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in spec["egress"]
        for peer in rule.get("to", [])
        for port in rule["ports"]
        if peer.get("ipBlock", {}).get("cidr", "").startswith(("169.254.", "fd00:", "fe80:"))
        and port["port"] not in DNS
    }


POD_IDENTITY = {"metadata": [{"cidr": "169.254.170.23/32", "port": 80}, {"cidr": "fd00:ec2::23/128", "port": 80}]}


@pytest.mark.parametrize(
    ("storage", "reached"),
    [
        (MINIO, set()),
        (S3, set()),
        (AZURE, set()),
        ({"uri": "s3://b", "network": POD_IDENTITY}, {("169.254.170.23/32", 80), ("fd00:ec2::23/128", 80)}),
        (GCS, {("169.254.169.254/32", 80), ("169.254.169.252/32", 988)}),
    ],
    ids=["no identity", "IRSA", "Azure", "EKS Pod Identity", "GKE"],
)
def test_metadata_services_are_reached_as_the_identity_needs(storage: Object, reached: set[tuple[str, int]]) -> None:
    spec = policy(render({"storage": storage}), "tracking")
    assert link_local(spec) == reached
    blocks = [peer["ipBlock"] for rule in spec["egress"] for peer in rule.get("to", []) if "ipBlock" in peer]
    assert all("169.254.0.0/16" in block["except"] for block in blocks if block["cidr"] == "0.0.0.0/0")


def test_a_google_identity_without_its_metadata_server_is_refused() -> None:
    storage = {**GCS, "network": {"metadata": []}}
    assert "storage.network.metadata" in refusal({"storage": storage})
    assert render({"storage": storage, "networkPolicy": {"enabled": False}})


def test_names_are_asked_of_the_cluster_s_dns_only() -> None:
    for component in ("tracking", "migrate", "verify", "run"):
        rules = policy(render({"run": {"enabled": True}}), component)["egress"]
        (rule,) = [rule for rule in rules if {port["port"] for port in rule["ports"]} & DNS]
        assert {(port["protocol"], port["port"]) for port in rule["ports"]} == {
            (protocol, port) for protocol in ("UDP", "TCP") for port in DNS
        }
        for peer in rule["to"]:
            pods = "podSelector" in peer and peer["namespaceSelector"]["matchLabels"]
            assert pods or peer["ipBlock"]["cidr"] in {"169.254.20.10/32", "169.254.169.254/32"}, peer


def test_another_dns_can_be_named() -> None:
    mine = [{"ipBlock": {"cidr": "10.96.0.10/32"}}]
    rule = policy(render({"networkPolicy": {"dns": mine}}), "tracking")["egress"][0]
    assert rule["to"] == mine
    assert "dns" in refusal({"networkPolicy": {"dns": []}})


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


def test_traefik_takes_an_address_as_the_host() -> None:
    rule = one(render({"route": {**TRAEFIK, "domain": "10.0.0.1"}}), "IngressRoute")["spec"]["routes"][0]
    assert rule["match"].startswith("Host(`10.0.0.1`)")


def test_two_releases_in_a_namespace_share_no_object() -> None:
    route = {"route": TRAEFIK, "access": {"mode": "users", "jupyterhub": {"url": "http://hub.dev.svc:8081"}}}
    first, second = (render(route, release=name) for name in ("one-mlflow", "two-mlflow"))
    named = [{(item["kind"], item["metadata"]["name"]) for item in each} for each in (first, second)]
    assert named[0] & named[1] == set()
    selectors = [
        one(each, "Service", f"{name}-mlflow-tracking")["spec"]["selector"]
        for each, name in ((first, "one"), (second, "two"))
    ]
    assert selectors[0] != selectors[1]


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
        *(({**each, "domain": "10.0.0.1"}, "is an IP address") for each in (GATEWAY, INGRESS, NEBARIAPP)),
    ],
    ids=str,
)
def test_routes_that_would_not_work_or_be_open(route: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal({"route": route})
