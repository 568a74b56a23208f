# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a deploy must know of a database outside before it begins: that its Secret can be used, and the way to it.

No value of the Secret is returned, and none stands in a message.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from ..errors import DatabaseUnusable
from ..network import hosts
from ..network.reading import Reading
from ..network.services import PortMissing
from . import uri

if TYPE_CHECKING:
    from ..kube.api import Api, Json


class Rule(TypedDict, total=False):
    """A port to open: for the peers in `to`, or for any address."""

    port: int | str
    to: list[dict[str, Any]]


@dataclass(frozen=True)
class Outside:
    """A database, as the chart's `externalDatabase` describes it; an empty text is what is not given."""

    namespace: str
    secret: str
    uri_key: str = ""
    user_key: str = ""
    password_key: str = ""
    host: str = ""
    port: int = 5432
    ca_secret: str = ""
    ca_config_map: str = ""
    ca_key: str = ""
    cluster_domain: str = "cluster.local"


def network(api: Api, database: Outside) -> list[Rule]:
    """Return what a NetworkPolicy must open. Raise for a Secret or a certificate that cannot be used."""
    values = _read(api, "Secret", database.secret, database.namespace, _keys(database))
    for kind, name in (("Secret", database.ca_secret), ("ConfigMap", database.ca_config_map)):
        if name:
            _read(api, kind, name, database.namespace, [database.ca_key])
    found: list[Rule] = []
    for host, port in _addresses(database, values):
        try:
            open_ = _rules(Reading(api), host, port, database)
        except PortMissing as error:
            raise DatabaseUnusable(
                "The database's host is a Service of the cluster that does not have the database's port. "
                "Nothing was changed.",
                f"Use one of its ports: {error.ports}.",
            ) from None
        found += [each for each in open_ if each not in found]
    return found


def _rules(reading: Reading, host: str, port: int, database: Outside) -> list[Rule]:
    """Return what to open for a host. A failover changes addresses, so none is named."""
    ways = hosts.follow(reading, host, port, database.namespace, database.cluster_domain).ways
    return [
        {"port": number, "to": [*way.peers]} if way.stays else {"port": number}
        for way in ways or []
        for number in way.ports
    ] or [{"port": port}]


def _keys(database: Outside) -> list[str]:
    return (
        [database.uri_key] if database.uri_key else [key for key in (database.user_key, database.password_key) if key]
    )


def _addresses(database: Outside, values: dict[str, str]) -> list[tuple[str, int]]:
    if not database.uri_key:
        return [(host, database.port) for host in database.host.split(",")]
    where = f"Secret {database.secret} in namespace {database.namespace}, key {database.uri_key}"
    try:
        return uri.addresses(uri.split(values[database.uri_key]))
    except uri.UriError as error:
        raise DatabaseUnusable(
            f"The database's URI is malformed: {error}. User and password must be percent-encoded ({uri.ENCODING}). "
            "Nothing was changed.",
            f"Write it as {uri.EXAMPLE} into {where}.",
        ) from None


def _read(api: Api, kind: str, name: str, namespace: str, keys: list[str]) -> dict[str, str]:
    """Return the values of these keys; raise if one is missing or empty."""
    plural = "secrets" if kind == "Secret" else "configmaps"
    live = api.find(f"/api/v1/namespaces/{namespace}/{plural}/{name}")
    if live is None:
        what = "generic" if kind == "Secret" else ""
        make = " ".join(filter(None, ("create", kind.lower(), what, name, f"--from-file={keys[0]}=FILE")))
        raise DatabaseUnusable(
            f"{kind}/{name}, which the database needs, does not exist in namespace {namespace}. Nothing was changed.",
            f"Create it (kubectl --namespace {namespace} {make}), or correct its name. A {kind} of another namespace "
            "must be copied.",
        )
    there = live.get("data") or {}
    for key in keys:
        if not there.get(key):
            names = ", ".join(sorted(there)) or "none"
            raise DatabaseUnusable(
                f"{kind}/{name} in namespace {namespace} has no value under the key {key!r}; its keys are: {names}. "
                "Nothing was changed.",
                f"Add {key!r}, or name one of its keys.",
            )
    return {key: _decoded(live, kind, key) for key in keys}


def _decoded(live: Json, kind: str, key: str) -> str:
    value = str(live["data"][key])
    try:
        return base64.b64decode(value).decode() if kind == "Secret" else value
    except (binascii.Error, UnicodeDecodeError):
        raise DatabaseUnusable(
            f"Secret/{live['metadata']['name']}, key {key!r}, is not UTF-8 text. Nothing was changed.",
            "Write it again, for example with printf %s.",
        ) from None
