"""`access` in the chart: what the server is told, which pods bring the release's own token, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.chart.rendering import Object, env, one, refusal, render, server

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
    ],
)
def test_access_that_cannot_work_is_refused(access: Object, instead: str) -> None:
    assert instead in refusal({"access": access})
