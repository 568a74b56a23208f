"""The chart's routes, held against the definitions of Traefik and of the Gateway API that the cluster has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import kubectl
from tests.unit.chart.configurations import TRAEFIK
from tests.unit.chart.rendering import NAMESPACE, render

pytestmark = pytest.mark.cluster

GROUPS = ("traefik.io/", "gateway.networking.k8s.io/")
EVERYTHING = {
    "forwardAuth": {"name": "traefik-forward-auth", "namespace": NAMESPACE},
    "middlewares": [{"name": "more"}],
    "entryPoints": ["websecure", "other"],
    "tls": {"certResolver": "letsencrypt"},
}
ROUTES: dict[str, Any] = {
    "traefik": TRAEFIK,
    "traefik with everything": {**TRAEFIK, "traefik": EVERYTHING},
    "traefik at the root": {**TRAEFIK, "path": "/"},
    "gateway": {
        "type": "gateway",
        "domain": "nebari.example.org",
        "externalAuthentication": True,
        "gateway": {"parentRefs": [{"name": "public", "namespace": "gateways"}], "annotations": {"a": "b"}},
    },
}


def submit(objects: list[Any]) -> None:
    """Have the API server check every field and keep nothing; AssertionError with its reason when it refuses."""
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=listed)


@pytest.mark.parametrize("name", ROUTES)
def test_every_field_is_defined(name: str) -> None:
    objects = [item for item in render({"route": ROUTES[name]}) if item["apiVersion"].startswith(GROUPS)]
    for item in objects:
        item["metadata"]["namespace"] = "default"
    submit(objects)
    objects[0]["spec"]["misspelt"] = True
    with pytest.raises(AssertionError, match=r'unknown field ".*misspelt"'):
        submit(objects)
