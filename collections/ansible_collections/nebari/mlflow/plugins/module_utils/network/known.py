# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Complete the chart's values for its network rules by what the cluster knows.

The chart's own values hold for most clusters. They are compared with the cluster's DNS, Services and controllers, and
completed where they do not hold, so that a second run computes the same and nothing is opened that is not needed.
"""

from __future__ import annotations

import base64
import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from ..errors import RefusedInput
from . import addresses, destinations, dns, edge, hosts, identity, services
from .destinations import Destination
from .reading import Reading, together

if TYPE_CHECKING:
    from ..kube.api import Api
    from ..kube.objects import Object

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Known:
    """The values, completed, and what a person should be told at once."""

    values: Object
    warnings: list[str] = field(default_factory=list)


def chart_defaults(chart: str) -> Object:
    """Read values.yaml of a chart's folder; empty for a packed chart."""
    path = Path(chart) / "values.yaml"
    return (yaml.load(path.read_text("utf-8"), Loader=LOADER) or {}) if path.is_file() else {}  # noqa: S506 (a safe one)


def layered(below: Object, above: Object) -> Object:
    """Put values over others as Helm does: mappings are merged, anything else is replaced, null removes."""
    found = dict(below)
    for name, value in above.items():
        if isinstance(value, dict) and isinstance(found.get(name), dict):
            found[name] = layered(found[name], value)
        elif value is None:
            found.pop(name, None)
        else:
            found[name] = value
    return found


def complete(api: Api, chart: str, given: Object, namespace: str, release: str = "") -> Known:
    """Return the values that a release needs here. What `given` says itself stays as it is."""
    defaults = chart_defaults(chart)
    values = layered(defaults, given)
    policy = values.get("networkPolicy")
    if not isinstance(policy, dict) or not {"dns", "dnsPorts", "egress"} <= policy.keys():
        return Known(given)  # another chart, or values that the chart refuses
    try:
        if release and values["route"]["type"] != "none":
            addresses.refuse_taken(api, values["route"], release, namespace)
        return _complete(api, values, given, namespace)
    except (KeyError, TypeError, AttributeError, ValueError):
        return Known(given)  # of the wrong shape: the chart's schema says so in its own words


def _complete(api: Api, values: Object, given: Object, namespace: str) -> Known:
    policy, own = values["networkPolicy"], given.get("networkPolicy") or {}
    reading = Reading(api)
    if not policy["enabled"]:
        missing = edge.look(reading, values, namespace)
        return Known(given, [f"{each.cause} {each.fix}" for each in missing.problems] if missing else [])
    environment = variables(reading, values, namespace)
    asked = destinations.of_access(values.get("access") or {})
    found_dns, found_edge, reached = together(
        lambda: None if "dns" in own else dns.look(Reading(api)),
        lambda: edge.look(Reading(api), values, namespace),
        lambda: [_reach(Reading(api), values, each, namespace) for each in [*environment, *asked]],
    )
    known = Known(copy.deepcopy(given))
    added: Object = dns.complete(found_dns, policy, namespace) if found_dns else {}
    rules = [rule for found, _ in reached for rule in found]
    known.warnings += [warning for _, warning in reached if warning]
    if rules and "egress" not in own:
        added["egress"] = sorted({str(rule): rule for rule in rules}.values(), key=str)
    if found_edge is not None:
        if "ingressController" not in own:
            added |= edge.complete(found_edge, policy, namespace)
        told = [*found_edge.problems, *edge.shut_out(found_edge, {**policy, **added}, namespace)]
        known.warnings += [f"{problem.cause} {problem.fix}" for problem in told]
    if added:
        known.values["networkPolicy"] = {**own, **added}
    services_of_identity = _identity(reading, values, {each.source for each in environment})
    if services_of_identity:
        storage = known.values.setdefault("storage", {})
        storage["network"] = {**(storage.get("network") or {}), "metadata": services_of_identity}
    return known


def variables(reading: Reading, values: Object, namespace: str) -> list[Destination]:
    """Return what the server's environment names, whatever it comes from."""
    tracking, storage = values["tracking"], values["storage"]
    found = destinations.named({k: str(v) for k, v in (storage["env"] or {}).items()}, "storage.env.", every=True)
    entries = [entry for entry in tracking["extraEnvVars"] or [] if isinstance(entry, dict)]
    found += destinations.named(destinations.literals(entries), "tracking.extraEnvVars: ")
    for entry in entries:
        for kind, field_ in (("secrets", "secretKeyRef"), ("configmaps", "configMapKeyRef")):
            reference = (entry.get("valueFrom") or {}).get(field_)
            if reference and destinations.NAMES.search(str(entry["name"])):
                data = _data(reading, kind, str(reference["name"]), namespace)
                one = {str(entry["name"]): data[reference["key"]]} if reference["key"] in data else {}
                found += destinations.named(one, "tracking.extraEnvVars: ")
    sources = [(each, "tracking.extraEnvFrom: ") for each in tracking["extraEnvFrom"] or []]
    sources += [({"secretRef": {"name": storage["secret"]}}, "storage.secret: ")] if storage["secret"] else []
    for each, where in sources:
        for kind, field_ in (("secrets", "secretRef"), ("configmaps", "configMapRef")):
            if each.get(field_):
                data = _data(reading, kind, str(each[field_]["name"]), namespace)
                prefix = each.get("prefix") or ""
                found += destinations.named({f"{prefix}{name}": value for name, value in data.items()}, where)
    return [*dict.fromkeys(found)]


def _data(reading: Reading, kind: str, name: str, namespace: str) -> dict[str, str]:
    """Read a Secret or a ConfigMap. Its values go no further than `destinations.parse`."""
    item = reading.get(f"/api/v1/namespaces/{namespace}/{kind}/{name}") or {}
    data = {str(key): str(value) for key, value in (item.get("data") or {}).items()}
    if kind == "configmaps":
        return data
    return {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in data.items()}


def _reach(reading: Reading, values: Object, wanted: Destination, namespace: str) -> tuple[list[Object], str]:
    """Return the egress rules that lead to a destination, beyond those of the chart, and what is wrong with it."""
    try:
        found = hosts.follow(reading, wanted.host, wanted.port, namespace, values["clusterDomain"])
    except services.PortMissing as error:
        raise RefusedInput(
            f"{wanted.source} names port {wanted.port} of {error.service}, which has: {error.ports}.",
            "Name one of its ports. Nothing was changed.",
        ) from None
    opened = _opened(values, wanted)
    if found.ways is None:
        told = f"{wanted.source} names {found.missing}, which does not exist." if found.missing else ""
        return ([] if wanted.port in opened else [_anywhere(wanted.port)]), told
    new = [way for way in found.ways if way.peers and not {*way.ports} <= opened]
    return [way.rule() for way in new], ""


def _opened(values: Object, wanted: Destination) -> set[int | str]:
    """Return what the chart's own rules open for it, as templates/_network.tpl and templates/_access.tpl have it."""
    if wanted.source == destinations.API:
        return {443, 6443}
    in_store = "://" in str(values["storage"]["uri"])
    by_store = in_store and (
        wanted.port in (values["networkPolicy"]["storagePorts"] or []) or wanted.source.startswith("storage.env.")
    )
    literal = destinations.literals([e for e in values["tracking"]["extraEnvVars"] or [] if isinstance(e, dict)])
    by_variable = any(wanted == each for each in destinations.named(literal, "tracking.extraEnvVars: "))
    return {wanted.port} if by_store or by_variable or wanted.source.startswith("access.") else set()


def _anywhere(port: int) -> Object:
    """Return the rule for a host outside of the cluster: any address that is not link-local."""
    blocks = [
        {"namespaceSelector": {}},
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
        {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10", "fd00:ec2::/32"]}},
    ]
    return {"to": blocks, "ports": [{"protocol": "TCP", "port": port}]}


def _identity(reading: Reading, values: Object, sources: set[str]) -> list[Object]:
    """Return the metadata services for a store of a cloud whose values name no key and no identity."""
    entries = [entry for entry in values["tracking"]["extraEnvVars"] or [] if isinstance(entry, dict)]
    names = {*(values["storage"]["env"] or {}), *(str(entry["name"]) for entry in entries)}
    names |= {source.rpartition(" ")[2] for source in sources}
    if values["tracking"]["extraEnvFrom"] or not identity.is_open(values, names):
        return []
    nodes = reading.items("/api/v1/nodes", limit=1)
    provider = str((nodes[0].get("spec") or {}).get("providerID") or "") if nodes else ""
    path = "/apis/apps/v1/namespaces/kube-system/daemonsets/eks-pod-identity-agent"
    agent = provider.startswith("aws://") and reading.get(path) is not None
    return identity.metadata(str(values["storage"]["uri"]), provider, has_agent=agent)
