"""`access` in the chart: what the server is told, which pods bring the release's own token, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.unit.chart.rendering import CHART, Object, env, one, refusal, render, run, server

HUB = "http://hub.dev.svc:8081"
USERS: Object = {"access": {"mode": "users", "jupyterhub": {"url": HUB}}}
OWN = {"secretKeyRef": {"name": "demo-mlflow-access", "key": "token"}}


def settings(values: Object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(env(server(render(values)))["NEBARI_MLFLOW_ACCESS"])
    return found


def test_open_access_leaves_no_trace() -> None:
    assert "NEBARI_MLFLOW" not in json.dumps([env(server(render())).get("NEBARI_MLFLOW_ACCESS", "")])
    kinds = {item["kind"] for item in render()}
    assert "ClusterRoleBinding" not in kinds


def test_the_server_is_told_whom_to_ask() -> None:
    found = settings({**USERS, "route": {"type": "traefik", "domain": "x.org"}})
    assert found["hub"] == {"url": HUB}
    assert "login" not in found
    login = {**USERS["access"], "login": {"url": "http://login:4181"}}
    found = settings({"access": login, "route": {"type": "traefik", "domain": "x.org"}})
    assert (found["login"]["host"], found["login"]["path"]) == ("x.org", "/mlflow/")


def test_the_releases_own_pods_bring_its_token() -> None:
    values = {**USERS, "run": {"enabled": True, "command": ["true"]}}
    found = [json.dumps(item) for item in render(values) if "MLFLOW_TRACKING_TOKEN" in json.dumps(item)]
    named = {f"demo-mlflow-{name}" for name in ("run", "verify", "backup", "drill", "gc")}
    assert named <= {json.loads(item)["metadata"]["name"] for item in found}
    assert all(json.dumps(OWN) in item for item in found if '"kind": "ConfigMap"' not in item)
    assert env(server(render(values)))["NEBARI_MLFLOW_SERVICE_TOKEN"] == OWN


def test_tokens_are_reviewed_only_if_asked_for() -> None:
    kubernetes = {"access": {"mode": "users", "kubernetes": {"enabled": True}}}
    binding = one(render(kubernetes), "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == "system:auth-delegator"
    assert "ClusterRoleBinding" not in {item["kind"] for item in render(USERS)}


def test_programs_with_a_token_pass_the_browsers_login() -> None:
    route = {"type": "traefik", "domain": "x.org", "traefik": {"forwardAuth": {"name": "login"}}}
    routes = [item for item in render({**USERS, "route": route}) if item["kind"] == "IngressRoute"]
    rules = {item["metadata"]["name"]: item["spec"]["routes"][0] for item in routes}
    tokens = rules["demo-mlflow-tracking-tokens"]
    assert "Authorization" in tokens["match"]
    assert "login" not in json.dumps(tokens["middlewares"])
    assert [item for item in render({"route": route}) if item["metadata"]["name"].endswith("-tokens")] == []


TOKENS = "^(Bearer|Basic|bearer|basic) .+"
FILTER = {"type": "ExtensionRef", "extensionRef": {"group": "traefik.io", "kind": "Middleware", "name": "login"}}


@pytest.mark.parametrize("path", ["/mlflow", "/"])
def test_programs_with_a_token_pass_the_gateways_login(path: str) -> None:
    gateway = {"parentRefs": [{"name": "public"}], "filters": [FILTER], "annotations": {"a": "b"}}
    route = {"type": "gateway", "domain": "x.org", "path": path, "gateway": gateway}
    routes = {
        item["metadata"]["name"]: item["spec"]
        for item in render({**USERS, "route": route})
        if "parentRefs" in item.get("spec", {})
    }
    assert set(routes) == {"demo-mlflow-tracking", "demo-mlflow-tracking-tokens"}
    assert all(rule["filters"][0] == FILTER for rule in routes["demo-mlflow-tracking"]["rules"])
    (rule,) = routes["demo-mlflow-tracking-tokens"]["rules"]
    match = {
        "path": {"type": "PathPrefix", "value": path},
        "headers": [{"type": "RegularExpression", "name": "Authorization", "value": TOKENS}],
    }
    assert rule["matches"] == [match]
    assert FILTER not in rule.get("filters", [])
    assert bool(rule.get("filters")) is (path != "/")
    plain = render({"route": {**route, "externalAuthentication": True}})
    assert [item["metadata"]["name"] for item in plain if item["kind"] == "HTTPRoute"] == ["demo-mlflow-tracking"]


APP = {"type": "nebariapp", "domain": "x.org", "path": "/"}
KEYCLOAK = {"issuer": "https://kc/realms/nebari", "clients": ["mlflow"]}


def test_programs_with_a_token_pass_the_login_of_a_nebariapp() -> None:
    app = one(render({"access": {"mode": "users", "openid": [KEYCLOAK]}, "route": APP}), "NebariApp")["spec"]
    public = [(each["pathPrefix"], each["pathType"]) for each in app["routing"]["publicRoutes"]]
    assert public == [("/api", "PathPrefix"), ("/v1/traces", "PathPrefix"), ("/version", "PathPrefix")]
    assert app["auth"]["forwardAccessToken"] is True
    open_app = one(render({"route": APP}), "NebariApp")["spec"]
    assert "publicRoutes" not in open_app["routing"]
    assert "forwardAccessToken" not in open_app["auth"]
    assert "cookie that nobody else can read" in refusal({**USERS, "route": APP})


LOGIN = {"access": {"mode": "users", "login": {"url": "http://oauth2-proxy:4180/oauth2/auth"}}}


@pytest.mark.parametrize(
    ("annotation", "warned"),
    [
        ("nginx.ingress.kubernetes.io/auth-url", True),
        ("nginx.ingress.kubernetes.io/auth-signin", True),
        ("haproxy-ingress.github.io/auth-url", True),
        ("traefik.ingress.kubernetes.io/router.middlewares", True),
        ("nginx.ingress.kubernetes.io/proxy-body-size", False),
    ],
)
def test_login_by_an_ingress_is_said_to_refuse_tokens(tmp_path: Path, annotation: str, warned: bool) -> None:
    chart = tmp_path / "mlflow"
    shutil.copytree(CHART, chart)
    (chart / "templates/shown.yaml").write_text('shown: {{ include "mlflow.warnings" . | quote }}\n')
    ingress = {"annotations": {annotation: "x"}}
    route = {"type": "ingress", "domain": "x.org", "path": "/", "ingress": ingress}
    show = ["--show-only", "templates/shown.yaml"]
    done = run("template", "demo-mlflow", str(chart), *show, values={**LOGIN, "route": route})
    assert done.returncode == 0, done.stderr
    assert ("cannot tell programs with a token from browsers" in done.stdout) is warned


def test_an_openid_provider_is_told_whom_to_believe() -> None:
    sign_in = {"url": "http://login", "signInUrl": "https://x.org/oauth2/start"}
    access = {"mode": "users", "openid": [{**KEYCLOAK, "groupsClaim": "roles"}], "login": sign_in}
    found = settings({"access": access, "route": {"type": "traefik", "domain": "x.org"}})
    assert found["openid"] == [{**KEYCLOAK, "groups_claim": "roles"}]
    assert found["login"]["sign_in"] == "https://x.org/oauth2/start"


@pytest.mark.parametrize(
    ("access", "instead"),
    [
        ({"mode": "users"}, "access.jupyterhub.url"),
        ({"mode": "users", "login": {"url": "http://login"}}, "route.type is none"),
        ({"mode": "users", "jupyterhub": {"url": HUB, "tokenSecret": {"name": "hub"}}}, "both name and key"),
        ({"mode": "users", "jupyterhub": {"url": HUB}, "teams": ["admin"]}, "access.adminGroups"),
        ({"mode": "closed"}, "access"),
        ({"mode": "users", "jupyterhub": {"url": "hub:8081"}}, "url"),
        ({"mode": "users", "openid": [{"issuer": "https://kc"}]}, "audience"),
        ({"mode": "users", "openid": [{"issuer": "https://kc", "clients": []}]}, "clients"),
        ({"mode": "users", "openid": [{"issuer": "kc", "audience": "mlflow"}]}, "issuer"),
        ({"mode": "users", "jupyterhub": {"url": HUB}, "login": {"signInUrl": "/oauth2/start"}}, "signInUrl"),
    ],
)
def test_access_that_cannot_work_is_refused(access: Object, instead: str) -> None:
    assert instead in refusal({"access": access})
