"""A database outside: what a NetworkPolicy must open for it, and which Secrets are refused."""

from __future__ import annotations

import base64
from typing import Any, cast

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.database.outside import Outside, network
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ApiError, DatabaseUnusable
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.api import Api
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.service_peers import service_of

CANARY = "Zq7xWv9kJb3n"
OF_DATA = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "data"}}}


def secret(**data: str) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"metadata": {"name": "db"}, "data": encoded}


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "data"}, "spec": spec}


SERVICES = {
    "rw": service("rw", clusterIP="10.0.0.9", selector={"role": "primary"}, ports=[{"port": 5432, "targetPort": 5433}]),
    "named": service("named", selector={"app": "pg"}, ports=[{"port": 6432, "targetPort": "sql"}]),
    "same": service("same", selector={"app": "pg"}, ports=[{"port": 5432}]),
    "headless": service("headless", clusterIP="None", selector={"app": "pg"}, ports=[{"port": 1, "targetPort": 2}]),
    "patroni": service("patroni", ports=[{"name": "postgresql", "port": 5432, "targetPort": 5432}]),
    "proxy": service("proxy", ports=[{"port": 5432}]),
    "alias": service("alias", type="ExternalName", externalName="rw.data.svc.cluster.local"),
    "cloud": service("cloud", type="ExternalName", externalName="db.example.org"),
}
SLICES = {
    "patroni": [
        {
            "ports": [{"name": "postgresql", "port": 5434}, {"name": "api", "port": 8008}],
            "endpoints": [{"targetRef": {"kind": "Pod"}}],
        }
    ],
    "proxy": [{"ports": [{"port": 5435}], "endpoints": [{"addresses": ["192.0.2.1"]}]}],
}


class Cluster:
    """The answers of a cluster; `forbidden` is what this user may not read."""

    def __init__(self, *objects: tuple[str, dict[str, Any]], forbidden: str = "nothing") -> None:
        self.objects = dict(objects)
        self.forbidden = forbidden

    def find(self, path: str) -> dict[str, Any] | None:
        self.refuse(path)
        _, _, rest = path.partition("/namespaces/")
        namespace, plural, name = rest.split("/")
        if plural == "services":
            return SERVICES.get(name) if namespace == "data" else None
        return self.objects.get(f"{plural}/{name}") if namespace == "dev" else None

    def request(self, _method: str, path: str, *, query: dict[str, str]) -> dict[str, Any]:
        self.refuse(path)
        if "endpointslices" in path:
            return {"items": SLICES.get(query["labelSelector"].partition("=")[2], [])}
        address = query["fieldSelector"].partition("=")[2]
        return {"items": [each for each in SERVICES.values() if each["spec"].get("clusterIP") == address]}

    def refuse(self, path: str) -> None:
        if self.forbidden in path:
            raise ApiError(403, {}, "forbidden")


def opened(hosts: str, cluster: Cluster | None = None) -> list[dict[str, Any]]:
    there = cluster or Cluster()
    there.objects["secrets/db"] = secret(uri=f"postgresql://u:{CANARY}@{hosts}/d")
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
        ("patroni.data", [{"port": 5434, "to": [OF_DATA]}]),
        ("proxy.data", [{"port": 5435}]),
        ("nosuch.data:6432", [{"port": 6432}]),
    ],
)
def test_the_way_to_a_host_is_what_a_policy_sees(hosts: str, expected: list[dict[str, Any]]) -> None:
    assert opened(hosts) == expected


def test_services_that_may_not_be_read_are_taken_for_hosts_outside() -> None:
    assert opened("rw.data:5433", Cluster(forbidden="/services")) == [{"port": 5433}]


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("rw", ("dev", "rw")),
        ("rw.data", ("data", "rw")),
        ("rw.data.svc.", ("data", "rw")),
        ("RW.data.svc.cluster.local", ("data", "rw")),
        ("pg-0.rw.data.svc", ("data", "rw")),
        ("db.example.org", None),
        ("svc", ("dev", "svc")),
    ],
)
def test_names_that_may_be_a_services(host: str, place: tuple[str, str] | None) -> None:
    assert service_of(host, "dev", "cluster.local") == place


URI = f"postgresql://u:{CANARY}@h/d"


@pytest.mark.parametrize(
    ("objects", "given", "said"),
    [
        ({}, {"uri_key": "uri"}, "Secret/db, which the database needs, does not exist in namespace dev"),
        ({"secrets/db": secret(url=URI)}, {"uri_key": "uri"}, "no value under the key 'uri'; its keys are: url"),
        ({"secrets/db": secret(uri="")}, {"uri_key": "uri"}, "no value under the key 'uri'"),
        ({"secrets/db": secret(uri=f"{CANARY}@{CANARY}")}, {"uri_key": "uri"}, "URI is malformed"),
        ({"secrets/db": secret(uri=URI.replace("@h", "@rw.data:1"))}, {"uri_key": "uri"}, "ports: 5432"),
        ({"secrets/db": secret(username="u")}, {"user_key": "username", "password_key": "password"}, "'password'"),
        ({"secrets/db": secret(uri=URI)}, {"uri_key": "uri", "ca_secret": "ca", "ca_key": "ca.crt"}, "Secret/ca"),
        (
            {"secrets/db": secret(uri=URI), "configmaps/ca": {"metadata": {"name": "ca"}, "data": {"x.pem": "x"}}},
            {"uri_key": "uri", "ca_config_map": "ca", "ca_key": "ca.crt"},
            "ConfigMap/ca in namespace dev has no value under the key 'ca.crt'; its keys are: x.pem",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_without_any_of_it(
    objects: dict[str, Any], given: dict[str, Any], said: str
) -> None:
    with pytest.raises(DatabaseUnusable) as refused:
        network(cast("Api", Cluster(*objects.items())), Outside("dev", "db", **given))
    report = refused.value.report()
    assert said in report["msg"]
    assert report["code"] == "NML414"
    assert report["fix"]
    assert CANARY not in report["msg"]


def test_a_database_by_its_parts() -> None:
    cluster = Cluster(("secrets/db", secret(username="u", password="p")))
    given = Outside("dev", "db", user_key="username", password_key="password", host="rw.data,db.example.org")
    assert network(cast("Api", cluster), given) == [PRIMARY, {"port": 5432}]
