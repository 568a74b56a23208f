"""What the network rules of a release are, by what the cluster knows: tables of the deciders, without a cluster."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import RefusedInput
from ansible_collections.nebari.mlflow.plugins.module_utils.network import destinations, identity, peers
from ansible_collections.nebari.mlflow.plugins.module_utils.network.known import Known, chart_defaults, complete
from ansible_collections.nebari.mlflow.plugins.module_utils.network.peers import Pod

from tests.unit.chart.rendering import CHART
from tests.unit.plugins.cluster import Cluster, Object, endpoints, named, pod, service

NAMES = [{"name": "dns", "protocol": "UDP", "port": 53}, {"name": "dns-tcp", "protocol": "TCP", "port": 53}]
COREDNS = {"k8s-app": "kube-dns"}
KIND = (service("kube-dns", "kube-system", NAMES, COREDNS), pod("coredns", "kube-system", COREDNS, {"dns": 53}))
STORE = {"app": "minio"}
IN_POD = {"kind": "Pod", "name": "minio-0"}


def minio(target: Any, *, port: int = 80, **more: Any) -> Object:
    return service("minio", "storage", [{"port": port, "targetPort": target}], STORE, **more)


def s3(endpoint: str, **storage: Any) -> Object:
    return {"storage": {"uri": "s3://b", "secret": "keys", "env": {"MLFLOW_S3_ENDPOINT_URL": endpoint}, **storage}}


def known(values: Object, *objects: Object, refused: tuple[str, ...] = ()) -> Known:
    api: Any = Cluster(*objects, refused=refused)
    return complete(api, str(CHART), values, "dev")


def added(values: Object, *objects: Object, **more: Any) -> Object:
    """Return what was added to the chart's network rules."""
    found: Object = known(values, *objects, **more).values.get("networkPolicy", {})
    return found


def rule(labels: Object, *ports: int | str) -> Object:
    return {"to": [peers.pods_of("storage", labels)], "ports": [{"protocol": "TCP", "port": port} for port in ports]}


@pytest.mark.parametrize(
    ("text", "proxy", "found"),
    [
        ("http://minio.storage.svc", False, ("minio.storage.svc", 80)),
        ("https://s3.example.org/", False, ("s3.example.org", 443)),
        ("http://user:p%40ss@proxy.corp:3128", True, ("proxy.corp", 3128)),
        ("proxy.corp:3128", True, ("proxy.corp", 3128)),
        ("proxy.corp", True, ("proxy.corp", 80)),
        ("proxy.corp:3128", False, None),
        ("http://[fd00::9]:9000", False, ("fd00::9", 9000)),
        ("http://minio.:9000", False, ("minio", 9000)),
        ("socks5://proxy", True, ("proxy", 1080)),
        ("s3://bucket/path", False, None),
        ("http://host:notaport", False, None),
        ("", True, None),
        ("eu-west-1", False, None),
    ],
)
def test_host_and_port_of_a_url(text: str, proxy: bool, found: object) -> None:
    assert destinations.parse(text, proxy=proxy) == found


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("minio", ("dev", "minio")),
        ("minio.storage", ("storage", "minio")),
        ("minio.storage.svc", ("storage", "minio")),
        ("minio.storage.svc.cluster.local", ("storage", "minio")),
        ("minio-0.minio.storage.svc", ("storage", "minio")),
        ("s3.eu-west-1.amazonaws.com", None),
        ("minio.storage.svc.clusterset.local", None),
        ("10.1.2.3", None),
        ("fd00::9", None),
        ("rw.data.svc.", ("data", "rw")),
        ("RW.data.svc.cluster.local", ("data", "rw")),
        ("pg-0.rw.data.svc", ("data", "rw")),
        ("db.example.org", None),
        ("svc", ("dev", "svc")),
        ("", None),
        (".data", None),
    ],
)
def test_services_are_told_from_other_hosts(host: str, found: object) -> None:
    assert destinations.service_of(host, "dev", "cluster.local") == found


def test_variables_that_name_a_host() -> None:
    found = destinations.named(
        {
            "HTTPS_PROXY": "proxy.corp:3128",
            "NO_PROXY": "http://never:1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.otel.svc:4318",
            "AZURE_STORAGE_CONNECTION_STRING": "AccountName=a;BlobEndpoint=http://azurite:10000/a;AccountKey=x",
            "HOMEPAGE": "http://nowhere.example.org",
        },
        "",
    )
    assert [(each.host, each.port) for each in found] == [
        ("proxy.corp", 3128),
        ("collector.otel.svc", 4318),
        ("azurite", 10000),
    ]


@pytest.mark.parametrize(
    ("store", "pods", "expected"),
    [
        (minio(9000), [pod("m", "storage", STORE)], {"egress": [rule(STORE, 9000)]}),
        (minio("api"), [pod("m", "storage", STORE, {"api": 9000})], {"egress": [rule(STORE, 9000)]}),
        (
            minio("api"),
            [pod("m", "storage", STORE, {"api": 9000}), pod("n", "storage", STORE, {"api": 9001})],
            {"egress": [rule(STORE, 9000, 9001)]},
        ),
        (minio("api"), [], {"egress": [rule(STORE, "api")]}),
        (minio(80), [pod("m", "storage", STORE)], {}),
        (minio(9000, clusterIP="None"), [pod("m", "storage", STORE)], {}),
        (
            minio(9000),
            [pod("m", "storage", STORE, host=True)],
            {
                "egress": [
                    {"to": [{"ipBlock": {"cidr": "192.168.1.5/32"}}], "ports": [{"protocol": "TCP", "port": 9000}]}
                ]
            },
        ),
    ],
    ids=["number", "name", "two numbers", "no pod yet", "same port", "headless", "on the node's network"],
)
def test_a_store_is_let_through_at_its_pods_ports(store: Object, pods: list[Object], expected: Object) -> None:
    assert added(s3("http://minio.storage.svc"), *KIND, store, *pods) == expected


def test_external_store_behind_a_service_is_let_through_by_address() -> None:
    store = service("minio", "storage", [{"port": 80, "name": "s3"}])
    ports = [{"name": "s3", "port": 9000}, {"name": "console", "port": 9001}]
    addresses = [{"addresses": ["fd12::5"]}, {"addresses": ["fd12::4"]}]
    ends = endpoints("minio-1", "minio", "storage", ports, *addresses, kind="IPv6")
    (found,) = added(s3("http://minio.storage"), *KIND, store, ends)["egress"]
    assert found == {
        "to": [{"ipBlock": {"cidr": "fd12::4/128"}}, {"ipBlock": {"cidr": "fd12::5/128"}}],
        "ports": [{"protocol": "TCP", "port": 9000}],
    }


def alias(of: str) -> Object:
    return service("alias", "dev", [], type="ExternalName", externalName=of, clusterIP="")


AT_POD = {"egress": [rule(STORE, 9000)]}


@pytest.mark.parametrize(
    ("endpoint", "objects", "expected"),
    [
        ("http://10.96.0.9", [minio(9000, clusterIP="10.96.0.9")], AT_POD),
        ("http://[fd00:96:0::9]", [minio(9000, clusterIP="fd00:96::9")], AT_POD),
        ("http://10.1.2.3", [minio(9000, clusterIP="10.96.0.9")], {}),
        ("http://alias", [alias("minio.storage.svc.cluster.local"), minio(9000)], AT_POD),
        ("http://alias", [alias("s3.example.org")], {}),
        ("http://alias", [alias("alias")], {}),
    ],
    ids=["address", "IPv6 address", "another address", "alias", "alias of a host outside", "alias of itself"],
)
def test_a_store_is_found_by_address_and_by_another_name(
    endpoint: str, objects: list[Object], expected: Object
) -> None:
    found = known(s3(endpoint), *KIND, *objects)
    assert found.values.get("networkPolicy", {}) == expected
    assert found.warnings == []


def test_another_name_of_a_missing_service_is_said_at_once() -> None:
    (told,) = known(s3("http://alias"), *KIND, alias("minio.storage.svc.cluster.local")).warnings
    assert "names Service minio in namespace storage, which does not exist" in told


def test_pods_that_no_selector_keeps_are_let_through_by_namespace() -> None:
    store = service("minio", "storage", [{"port": 80}])
    ends = endpoints("minio", "minio", "storage", [{"port": 9000}], {"addresses": ["10.244.0.4"], "targetRef": IN_POD})
    (found,) = added(s3("http://minio.storage"), *KIND, store, ends)["egress"]
    assert found == {"to": [peers.in_namespace("storage")], "ports": [{"protocol": "TCP", "port": 9000}]}


def test_pods_on_and_off_the_nodes_network_are_let_through() -> None:
    pods = [pod("m", "storage", STORE), pod("n", "storage", STORE, host=True)]
    found = added(s3("http://minio.storage"), *KIND, minio(9000), *pods)["egress"]
    assert [each["to"] for each in found] == [
        [{"ipBlock": {"cidr": "192.168.1.5/32"}}],
        [peers.pods_of("storage", STORE)],
    ]


def test_port_missing_from_the_service_is_refused_with_its_ports() -> None:
    with pytest.raises(RefusedInput) as refused:
        known(s3("http://minio.storage.svc:9999"), *KIND, minio(9000))
    assert "storage.env.MLFLOW_S3_ENDPOINT_URL names port 9999" in refused.value.cause
    assert "which has: 80" in refused.value.cause


@pytest.mark.parametrize(
    ("host", "refused", "warned"),
    [
        ("minio.storage.svc", (), True),
        ("minio", (), True),
        ("example.org", (), False),
        ("s3.example.org", (), False),
        ("minio.storage.svc", ("services",), False),
    ],
)
def test_a_service_that_is_missing_is_said_at_once(host: str, refused: tuple[str, ...], warned: bool) -> None:
    told = known(s3(f"http://{host}"), *KIND, refused=refused).warnings
    assert bool(told) is warned
    assert not told or "which does not exist" in told[0]


HUB = {"component": "hub"}


@pytest.mark.parametrize(
    ("access", "objects", "expected"),
    [
        ({"jupyterhub": {"url": "http://hub.storage.svc"}}, [service("hub", "storage", [{"port": 80}], HUB)], None),
        (
            {"jupyterhub": {"url": "http://hub.storage.svc"}},
            [service("hub", "storage", [{"port": 80, "targetPort": 8081}], HUB)],
            [rule(HUB, 8081)],
        ),
        (
            {"login": {"url": "http://hub.storage.svc:4181"}},
            [service("hub", "storage", [{"port": 4181, "targetPort": "http"}], HUB)],
            [rule(HUB, "http")],
        ),
        (
            {"openid": [{"issuer": "https://hub.storage.svc/realms/a", "audience": "mlflow"}]},
            [service("hub", "storage", [{"port": 443, "targetPort": 8443}], HUB)],
            [rule(HUB, 8443)],
        ),
        (
            {"mode": "open", "jupyterhub": {"url": "http://hub.storage.svc"}},
            [service("hub", "storage", [{"port": 80, "targetPort": 8081}], HUB)],
            None,
        ),
        ({"openid": [{"issuer": "https://login.example.org", "audience": "mlflow"}]}, [], None),
    ],
    ids=["same port", "hub", "login", "OpenID", "open", "outside"],
)
def test_services_the_server_asks_are_let_through_at_pod_ports(
    access: Object, objects: list[Object], expected: list[Object] | None
) -> None:
    assert added({"access": {"mode": "users", **access}}, *KIND, *objects).get("egress") == expected


@pytest.mark.parametrize(("port", "more"), [(443, False), (6443, False), (8443, True), (16443, True)])
def test_the_api_is_let_through_wherever_it_listens(port: int, more: bool) -> None:
    api = service("kubernetes", "default", [{"name": "https", "port": 443, "targetPort": port}])
    ends = endpoints(
        "kubernetes", "kubernetes", "default", [{"name": "https", "port": port}], {"addresses": ["192.168.1.2"]}
    )
    found = added({"access": {"mode": "users", "kubernetes": {"enabled": True}}}, *KIND, api, ends).get("egress", [])
    assert [each["ports"][0]["port"] for each in found] == ([port] if more else [])


def secret(name: str, **data: str) -> Object:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {**named("Secret", name, "dev"), "data": encoded}


CORPORATE = {**named("ConfigMap", "corporate", "dev"), "data": {"HTTPS_PROXY": "http://proxy.net.svc:80"}}
PROXY = service("proxy", "net", [{"port": 80, "targetPort": 3128}], {"app": "squid"})
BY_SECRET = {"name": "https_proxy", "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "url"}}}


@pytest.mark.parametrize(
    ("tracking", "objects"),
    [
        ({"extraEnvVars": [{"name": "HTTPS_PROXY", "value": "http://proxy.net.svc"}]}, []),
        ({"extraEnvFrom": [{"configMapRef": {"name": "corporate"}}]}, [CORPORATE]),
        ({"extraEnvVars": [BY_SECRET]}, [secret("proxy", url="http://me:hidden@proxy.net.svc")]),
    ],
    ids=["a value", "a ConfigMap", "a Secret"],
)
def test_a_proxy_of_the_environment_is_let_through(tracking: Object, objects: list[Object]) -> None:
    found = known({"tracking": tracking}, *KIND, PROXY, *objects)
    (opened,) = found.values["networkPolicy"]["egress"]
    assert opened["to"] == [peers.pods_of("net", {"app": "squid"})]
    assert opened["ports"] == [{"protocol": "TCP", "port": 3128}]
    assert "hidden" not in repr(found)


def test_proxy_named_only_in_a_secret_is_let_through() -> None:
    found = added({"tracking": {"extraEnvVars": [BY_SECRET]}}, *KIND, secret("proxy", url="proxy.corp.example:3128"))
    assert [each["port"] for each in found["egress"][0]["ports"]] == [3128]
    assert {"namespaceSelector": {}} in found["egress"][0]["to"]


OPENSHIFT = (
    {
        **service("dns-default", "openshift-dns", [{**NAMES[0], "targetPort": "dns"}], {"dns.operator": "default"}),
        "metadata": {
            "name": "dns-default",
            "namespace": "openshift-dns",
            "labels": {"dns.operator.openshift.io/owning-dns": "default"},
        },
    },
    pod(
        "dns-x",
        "openshift-dns",
        {"dns.operator": "default", "dns.operator.openshift.io/daemonset-dns": "default"},
        {"dns": 5353},
    ),
)
OTHER = {"k8s-app": "coredns", "app": "x"}
CLUSTER_IP = {"ipBlock": {"cidr": "10.96.0.7/32"}}


def test_the_dns_of_common_clusters_needs_nothing_more() -> None:
    for objects in (KIND, OPENSHIFT, ()):
        assert known({}, *objects).values == {}
    assert known({}, *KIND, refused=("services", "pods")).values == {}


@pytest.mark.parametrize(
    ("objects", "more", "ports"),
    [
        (
            [
                service("kube-dns", "kube-system", [{**NAMES[0], "targetPort": 1053}], COREDNS),
                pod("d", "kube-system", COREDNS),
            ],
            [],
            [53, 1053, 5353],
        ),
        (
            [
                service("kube-dns", "kube-system", NAMES, {"app": "mydns"}, labels=COREDNS),
                pod("d", "kube-system", {"app": "mydns", "k8s-app": "coredns"}),
            ],
            [],
            None,
        ),
        ([KIND[0], pod("d", "kube-system", COREDNS, host=True)], ["10.96.0.7/32", "192.168.1.5/32"], None),
        ([*KIND, pod("c", "kube-system", {"k8s-app": "node-local-dns"}, host=True)], ["10.96.0.7/32"], None),
    ],
    ids=["another port", "other labels", "on the node's network", "NodeLocal DNSCache"],
)
def test_the_rules_follow_the_dns_that_the_cluster_has(
    objects: list[Object], more: list[str], ports: list[int] | None
) -> None:
    found = added({}, *objects)
    default = chart_defaults(str(CHART))["networkPolicy"]["dns"]
    assert [each["ipBlock"]["cidr"] for each in found.get("dns", default)[len(default) :]] == more
    assert found.get("dnsPorts") == ports


def test_values_that_are_given_stay_as_they_are() -> None:
    own = {"dns": [CLUSTER_IP], "egress": [{"to": [CLUSTER_IP]}], "ingressController": [CLUSTER_IP]}
    given = {**s3("http://minio.storage.svc"), "networkPolicy": own}
    assert known(given, minio(9000)).values == given
    off = {**s3("http://minio.storage.svc"), "networkPolicy": {"enabled": False}}
    assert known(off, minio(9000)).values == off


@pytest.mark.parametrize("values", [{"storage": None}, {"tracking": {"extraEnvVars": [1, {"value": "x"}]}}])
def test_values_of_a_wrong_shape_are_left_to_the_chart(values: Object) -> None:
    assert known(values, *KIND).values == values


EKS = {**named("Node", "n"), "spec": {"providerID": "aws:///eu-west-1a/i-1"}}
GCE = {**named("Node", "n"), "spec": {"providerID": "gce://p/europe-west1-b/n"}}
AGENT = named("DaemonSet", "eks-pod-identity-agent", "kube-system")
ROLE = {"serviceAccountAnnotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"}}


@pytest.mark.parametrize(
    ("storage", "objects", "opened"),
    [
        ({"uri": "s3://b"}, [EKS, AGENT], identity.POD_IDENTITY),
        ({"uri": "s3://b"}, [EKS], []),
        ({"uri": "s3://b"}, [GCE, AGENT], []),
        ({"uri": "s3://b", **ROLE}, [EKS, AGENT], []),
        ({"uri": "s3://b", "secret": "keys"}, [EKS, AGENT], []),
        ({"uri": "s3://b", "env": {"MLFLOW_S3_ENDPOINT_URL": "https://minio.example.org"}}, [EKS, AGENT], []),
        ({"uri": "gs://b"}, [GCE], identity.GKE),
        (
            {"uri": "gs://b", "serviceAccountAnnotations": {"iam.gke.io/gcp-service-account": "m@p"}},
            [GCE],
            identity.GKE,
        ),
        ({"uri": "gs://b", "secret": "keys"}, [GCE], []),
        ({"uri": "gs://b", "env": {"GOOGLE_APPLICATION_CREDENTIALS": "/key"}}, [GCE], []),
        ({"uri": "gs://b"}, [EKS], []),
        ({"uri": "wasbs://c@a.blob.core.windows.net"}, [EKS, AGENT], []),
        ({"uri": "gs://b", "network": {"metadata": [{"cidr": "10.0.0.1/32", "port": 1}]}}, [GCE], [{"port": 1}]),
    ],
    ids=[
        "EKS Pod Identity",
        "no agent",
        "another cloud",
        "IRSA",
        "keys",
        "a store that is not AWS's",
        "GKE, direct",
        "GKE, service account",
        "keys for GCS",
        "a key file",
        "GCS from AWS",
        "Azure",
        "given",
    ],
)
def test_metadata_services_are_opened_for_the_identity_in_use(
    storage: Object, objects: list[Object], opened: list[Object]
) -> None:
    found = known({"storage": storage}, *KIND, *objects).values["storage"].get("network", {"metadata": []})["metadata"]
    assert [each["port"] for each in found] == [each["port"] for each in opened]


POD = Pod("kube-system", "traefik-1", {"app.kubernetes.io/name": "traefik"}, ("10.244.0.9",))
HOST = Pod("kube-system", "nginx-1", {"app": "nginx"}, ("192.168.1.5",), on_host=True)


@pytest.mark.parametrize(
    ("peer", "which", "selected"),
    [
        ({"podSelector": {"matchLabels": POD.labels}}, POD, False),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": POD.labels}}, POD, True),
        ({"namespaceSelector": {"matchLabels": {peers.NAMESPACE: "kube-system"}}}, POD, True),
        ({"namespaceSelector": {"matchLabels": {peers.NAMESPACE: "traefik"}}}, POD, False),
        ({"namespaceSelector": {}}, HOST, False),
        ({"ipBlock": {"cidr": "192.168.0.0/16"}}, HOST, True),
        ({"ipBlock": {"cidr": "192.168.0.0/16", "except": ["192.168.1.5/32"]}}, HOST, False),
        ({"ipBlock": {"cidr": "::/0"}}, HOST, False),
        (
            {
                "namespaceSelector": {},
                "podSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]},
            },
            POD,
            True,
        ),
    ],
)
def test_which_pods_a_peer_selects(peer: Object, which: Pod, selected: bool) -> None:
    assert peers.admits([peer], which, "dev") is selected


def test_rules_are_described_in_words() -> None:
    policy = {
        "spec": {
            "egress": [
                {
                    "to": [{"namespaceSelector": {}}, {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}],
                    "ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 80}],
                },
                {
                    "to": [peers.pods_of("storage", STORE)],
                    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
                },
                {"to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]},
            ]
        }
    }
    assert peers.describe(policy) == [
        "TCP 443, TCP 80 to every pod in every namespace, every address that is not link-local",
        "UDP/TCP 53 to pods app=minio in namespace storage",
        "every port to 10.0.0.1/32",
    ]
    assert peers.describe({"spec": {}}) == ["nothing"]
