"""Nebari's own services that the server relies on: the login in front of the UI, and the hub. Pure."""

from __future__ import annotations

from typing import Any

from .. import names


def route(config: Any, middleware: Any) -> dict[str, Any]:
    """Put Nebari's login in front of the UI. Its Middleware is in the release's namespace."""
    given = config.mlflow.access.middleware
    upstream = middleware.get("name") if isinstance(middleware, dict) else middleware
    return {
        "type": "traefik",
        "traefik": {
            "forwardAuth": {"name": given or upstream or "traefik-forward-auth", "namespace": config.namespace}
        },
    }


def access(config: Any, login: Any) -> dict[str, Any]:
    """Ask the hub whose token a notebook sends, and the login whose cookies a browser sends."""
    wanted, namespace = config.mlflow.access, config.namespace
    service = login.get("name") if isinstance(login, dict) else login
    asked = {"login": {"url": f"http://{service or names.LOGIN_SERVICE}.{namespace}.svc:4181"}} if wanted.ui else {}
    return {
        "mode": wanted.mode,
        "adminGroups": wanted.admin_groups,
        "groups": wanted.groups,
        "teams": wanted.teams,
        "defaultPermission": wanted.default_permission,
        "jupyterhub": {
            "url": f"http://hub.{namespace}.svc:8081",
            "tokenSecret": {"name": "hub", "key": f"hub.services.{names.HUB_SERVICE}.apiToken"},
        },
        **asked,
    }
