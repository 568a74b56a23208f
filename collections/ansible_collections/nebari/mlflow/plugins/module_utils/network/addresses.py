# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which other release of this chart has the same address: a controller would serve only one of the two."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from ..errors import RefusedInput
from .edge import TRAEFIK_GROUPS
from .reading import Reading, together

if TYPE_CHECKING:
    from ..kube.api import Api
    from ..kube.objects import Object

SELECTOR = "app.kubernetes.io/part-of=mlflow,app.kubernetes.io/component=route"
INSTANCE = "app.kubernetes.io/instance"
KINDS = (
    *((group, "ingressroutes") for group in TRAEFIK_GROUPS),
    ("/apis/networking.k8s.io/v1", "ingresses"),
    ("/apis/gateway.networking.k8s.io/v1", "httproutes"),
    ("/apis/reconcilers.nebari.dev/v1", "nebariapps"),
)


def refuse_taken(api: Api, route: Object, release: str, home: str) -> None:
    """Raise RefusedInput if another release of this chart in this namespace serves the address of this route."""
    wanted = (str(route["domain"]), str(route["path"]).rstrip("/") or "/")
    paths = [f"{group}/namespaces/{home}/{plural}" for group, plural in KINDS]
    for items in together(*(partial(Reading(api).items, path, labelSelector=SELECTOR) for path in paths)):
        for item in items:
            owner = str(item["metadata"]["labels"].get(INSTANCE, ""))
            if owner != release and wanted in addresses(item["spec"]):
                address = f"{'https' if route['tls'] else 'http'}://{wanted[0]}{wanted[1].rstrip('/')}/"
                raise RefusedInput(
                    f"{address} is the address of the release {owner!r} in namespace {home} already.",
                    "Give one of the two another route.path or route.domain. Nothing was changed.",
                )


def addresses(spec: Object) -> set[tuple[str, str]]:
    """Return host and path of each rule of an IngressRoute, an Ingress, an HTTPRoute or a NebariApp."""
    found = {(str(spec["hostname"]), "/")} if "hostname" in spec else set()
    for host in spec.get("hostnames") or []:
        matches = [match for rule in spec.get("rules") or [] for match in rule.get("matches") or []]
        found |= {(host, match["path"]["value"].rstrip("/") or "/") for match in matches if "path" in match}
    for rule in spec.get("rules") or []:
        paths = (rule.get("http") or {}).get("paths") or []
        found |= {(str(rule.get("host", "")), path["path"].rstrip("/") or "/") for path in paths}
    for rule in spec.get("routes") or []:
        hosts = re.findall(r"Host\(`([^`]+)`\)", rule.get("match") or "")
        prefixes = re.findall(r"PathPrefix\(`([^`]+)`\)", rule.get("match") or "") or ["/"]
        found |= {(host, path.rstrip("/") or "/") for host in hosts for path in prefixes}
    return found
