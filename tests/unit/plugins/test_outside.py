"""A database outside: what a NetworkPolicy must open for it, and which Secrets are refused."""

from __future__ import annotations

import base64
from typing import Any, cast

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.database.outside import Outside, network
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import DatabaseUnusable
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.api import Api

from tests.unit.plugins.cluster import Cluster, Object, endpoints, named, pod, service

CANARY = "Zq7xWv9kJb3n"
OF_DATA = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "data"}}}


def secret(**data: str) -> Object:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {**named("Secret", "db", "dev"), "data": encoded}


def alias(name: str, of: str) -> Object:
    return service(name, "data", [], type="ExternalName", externalName=of, clusterIP="")


SERVICES = (
    service("rw", "data", [{"port": 5432, "targetPort": 5433}], {"role": "primary"}, clusterIP="10.0.0.9"),
    service("named", "data", [{"port": 6432, "targetPort": "sql"}], {"app": "pg"}),
    service("same", "data", [{"port": 5432}], {"app": "pg"}),
    service("headless", "data", [{"port": 1, "targetPort": 2}], {"app": "pg"}, clusterIP="None"),
    service("known", "data", [{"port": 5432, "targetPort": "sql"}], {"app": "known"}),
    service("host", "data", [{"port": 5432, "targetPort": 5433}], {"app": "host"}),
    service("patroni", "data", [{"name": "postgresql", "port": 5432, "targetPort": 5432}]),
    service("leaderless", "data", [{"name": "postgresql", "port": 5432, "targetPort": 5432}]),
    service("proxy", "data", [{"port": 5432}]),
    service("outside", "data", [{"port": 1}], clusterIP="None"),
    alias("alias", "rw.data.svc.cluster.local"),
    alias("cloud", "db.example.org"),
)
PATRONI = [{"name": "postgresql", "port": 5434}, {"name": "api", "port": 8008}]
OTHERS = (
    endpoints("patroni", "patroni", "data", PATRONI, {"targetRef": {"kind": "Pod"}}),
    endpoints("leaderless", "leaderless", "data", PATRONI),
    endpoints("proxy", "proxy", "data", [{"port": 5435}], {"addresses": ["192.0.2.1"]}),
    endpoints("outside", "outside", "data", [], {"addresses": ["192.0.2.1"]}),
    pod("known-0", "data", {"app": "known"}, {"sql": 5436}),
    pod("host-0", "data", {"app": "host"}, host=True),
)


def opened(hosts: str, refused: tuple[str, ...] = ()) -> list[Object]:
    there = Cluster(*SERVICES, *OTHERS, secret(uri=f"postgresql://u:{CANARY}@{hosts}/d"), refused=refused)
    return [dict(rule) for rule in network(cast("Api", there), Outside("dev", "db", uri_key="uri"))]


PRIMARY = {"port": 5433, "to": [{**OF_DATA, "podSelector": {"matchLabels": {"role": "primary"}}}]}
ALL_PODS = [{**OF_DATA, "podSelector": {"matchLabels": {"app": "pg"}}}]


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ("db.example.org", [{"port": 5432}]),
        ("db.example.org:25060", [{"port": 25060}]),
        ("a.example.org:5433,b.example.org:6432", [{"port": 5433}, {"port": 6432}]),
        ("a.example.org,b.example.org", [{"port": 5432}]),
        ("10.1.2.3:6432", [{"port": 6432}]),
        ("rw.data", [PRIMARY]),
        ("rw.data.svc", [PRIMARY]),
        ("rw.data.svc.cluster.local:5432", [PRIMARY]),
        ("10.0.0.9", [PRIMARY]),
        ("alias.data", [PRIMARY]),
        ("cloud.data", [{"port": 5432}]),
        ("named.data:6432", [{"port": "sql", "to": ALL_PODS}]),
        ("same.data", [{"port": 5432, "to": ALL_PODS}]),
        ("headless.data:5432", [{"port": 5432, "to": ALL_PODS}]),
        ("pg-0.headless.data.svc:5432", [{"port": 5432, "to": ALL_PODS}]),
        ("known.data", [{"port": 5436, "to": [{**OF_DATA, "podSelector": {"matchLabels": {"app": "known"}}}]}]),
        ("host.data", [{"port": 5433}]),
        ("patroni.data", [{"port": 5434, "to": [OF_DATA]}]),
        ("leaderless.data", [{"port": 5434}]),
        ("outside.data", [{"port": 5432}]),
        ("proxy.data", [{"port": 5435}]),
        ("nosuch.data:6432", [{"port": 6432}]),
    ],
)
def test_the_way_to_a_host_is_what_a_policy_sees(hosts: str, expected: list[Object]) -> None:
    assert opened(hosts) == expected


def test_unreadable_services_are_taken_for_outside_hosts() -> None:
    assert opened("rw.data:5433", ("services",)) == [{"port": 5433}]


URI = f"postgresql://u:{CANARY}@h/d"


@pytest.mark.parametrize(
    ("objects", "given", "said"),
    [
        ([], {"uri_key": "uri"}, "Secret/db, which the database needs, does not exist in namespace dev"),
        ([secret(url=URI)], {"uri_key": "uri"}, "no value under the key 'uri'; its keys are: url"),
        ([secret(uri="")], {"uri_key": "uri"}, "no value under the key 'uri'"),
        ([secret(uri=f"{CANARY}@{CANARY}")], {"uri_key": "uri"}, "URI is malformed"),
        ([secret(uri=URI.replace("@h", "@rw.data:1"))], {"uri_key": "uri"}, "ports: 5432"),
        ([secret(username="u")], {"user_key": "username", "password_key": "password"}, "'password'"),
        ([secret(uri=URI)], {"uri_key": "uri", "ca_secret": "ca", "ca_key": "ca.crt"}, "Secret/ca"),
        (
            [secret(uri=URI), {**named("ConfigMap", "ca", "dev"), "data": {"x.pem": "x"}}],
            {"uri_key": "uri", "ca_config_map": "ca", "ca_key": "ca.crt"},
            "ConfigMap/ca in namespace dev has no value under the key 'ca.crt'; its keys are: x.pem",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_without_any_of_it(
    objects: list[Object], given: dict[str, Any], said: str
) -> None:
    with pytest.raises(DatabaseUnusable) as refused:
        network(cast("Api", Cluster(*SERVICES, *objects)), Outside("dev", "db", **given))
    report = refused.value.report()
    assert said in report["msg"]
    assert report["code"] == "NML414"
    assert report["fix"]
    assert CANARY not in report["msg"]


def test_a_database_by_its_parts() -> None:
    cluster = Cluster(*SERVICES, secret(username="u", password="p"))
    given = Outside("dev", "db", user_key="username", password_key="password", host="rw.data,db.example.org")
    assert network(cast("Api", cluster), given) == [PRIMARY, {"port": 5432}]
