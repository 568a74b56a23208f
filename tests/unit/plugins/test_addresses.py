"""Two releases in one namespace never have one address, whatever kind of route makes it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import RefusedInput
from ansible_collections.nebari.mlflow.plugins.module_utils.network.known import complete

from tests.unit.chart.rendering import CHART, render
from tests.unit.plugins.cluster import Cluster, Object

KINDS = ("IngressRoute", "Ingress", "HTTPRoute", "NebariApp")
LOGIN = {"externalAuthentication": True}
GATEWAY = {"parentRefs": [{"name": "public"}]}
STRIP = {"annotations": {"strip": "it"}}
ROUTES: dict[str, Object] = {
    "traefik": {"type": "traefik", "domain": "a.org", **LOGIN},
    "traefik at the root": {"type": "traefik", "domain": "a.org", "path": "/", **LOGIN},
    "ingress": {"type": "ingress", "domain": "a.org", "ingress": STRIP, **LOGIN},
    "ingress at the root": {"type": "ingress", "domain": "a.org", "path": "/", **LOGIN},
    "gateway": {"type": "gateway", "domain": "a.org", "gateway": GATEWAY, **LOGIN},
    "gateway at the root": {"type": "gateway", "domain": "a.org", "path": "/", "gateway": GATEWAY, **LOGIN},
    "app at the root": {"type": "nebariapp", "domain": "a.org", "path": "/"},
}


def routes(route: Object) -> list[Object]:
    """Return the routes of the release `demo` in the namespace `dev`, as the chart renders them."""
    return [item for item in render({"route": route}) if item["kind"] in KINDS]


@pytest.mark.parametrize("mine", ROUTES)
@pytest.mark.parametrize("other", ROUTES)
def test_an_address_of_another_release_is_refused(mine: str, other: str) -> None:
    there = routes(ROUTES[other])
    namespace, owner = there[0]["metadata"]["namespace"], there[0]["metadata"]["labels"]["app.kubernetes.io/instance"]
    api: Any = Cluster(*there)
    given = {"route": ROUTES[mine]}
    if ("root" in mine) is ("root" in other):
        with pytest.raises(RefusedInput, match=rf"https://a.org/\S* is the address of the release '{owner}'") as error:
            complete(api, str(CHART), given, namespace, "second")
        assert "route.path or route.domain" in str(error.value.fix)
    else:
        complete(api, str(CHART), given, namespace, "second")
    complete(api, str(CHART), given, namespace, owner)
    complete(api, str(CHART), given, "elsewhere", "second")
    complete(api, str(CHART), {"route": {**ROUTES[mine], "domain": "b.org"}}, namespace, "second")


def test_routes_that_may_not_be_read_refuse_nothing() -> None:
    there = routes(ROUTES["traefik"])
    api: Any = Cluster(*there, refused=("ingressroutes",))
    complete(api, str(CHART), {"route": ROUTES["traefik"]}, there[0]["metadata"]["namespace"], "second")
