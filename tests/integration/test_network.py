"""The network rules follow what the cluster has: stores behind Services, and the controller that serves the UI."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.nebari.edge.traefik import image as edge_image
from tests.integration.store import CLOSED, give_keys, run_store
from tests.support import Played, kubectl, play

pytestmark = pytest.mark.cluster

NAMESPACE, STORE, PROJECT = "network-test", "network-store", "network"
RELEASE = f"{PROJECT}-mlflow"
DEPLOY: dict[str, Any] = {
    "mlflow_provider": "local",
    "mlflow_project_name": PROJECT,
    "mlflow_namespace": NAMESPACE,
    "mlflow_kubeconfig": os.environ["KUBECONFIG"],
}
FAST: dict[str, Any] = {"tracking": {"workers": 1, "terminationGracePeriodSeconds": 1}}
S3 = {"endpoint": f"http://store.{STORE}.svc", "bucket": "artifacts", "secret": "store-keys"}


def deploy(*arguments: str, overrides: dict[str, Any] | None = None, **variables: Any) -> Played:
    return play("mlflow", *arguments, **{**DEPLOY, "mlflow_overrides": {**FAST, **(overrides or {})}, **variables})


@pytest.fixture(scope="module")
def namespace() -> Iterator[None]:
    for each in (NAMESPACE, STORE):
        kubectl("delete", "namespace", each, "--ignore-not-found")
    yield
    for each in (NAMESPACE, STORE):
        kubectl("delete", "namespace", each, "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="module")
def store(namespace: None) -> None:  # noqa: ARG001
    """An S3 store behind a Service, and its keys where MLflow is."""
    kubectl("create", "namespace", STORE)
    kubectl("create", "namespace", NAMESPACE)
    run_store(STORE)
    give_keys(NAMESPACE, "store-keys")


def rules() -> list[dict[str, Any]]:
    name = f"{RELEASE}-tracking"
    found: list[dict[str, Any]] = json.loads(kubectl("-n", NAMESPACE, "get", "networkpolicy", name, "-o", "json"))[
        "spec"
    ]["egress"]
    return found


@pytest.mark.usefixtures("store")
def test_a_port_that_the_store_lacks_is_refused_first() -> None:
    address = kubectl("-n", STORE, "get", "service", "store", "-o", "jsonpath={.spec.clusterIP}")
    for host in (f"store.{STORE}.svc", address):
        played = deploy(mlflow_local_s3={**S3, "endpoint": f"http://{host}:9000"})
        assert played.returncode != 0
        assert "names port 9000 of Service store in namespace network-store, which has: 80" in played.failure
    assert kubectl("-n", NAMESPACE, "get", "deploy,networkpolicy,pvc,lease", "-o", "name") == ""


CLASS = "network-test"
MARKS = {"app.kubernetes.io/name": CLASS, "app.kubernetes.io/instance": CLASS}
INGRESS: dict[str, Any] = {
    "type": "ingress",
    "domain": "mlflow.network.example.org",
    "path": "/",
    "tls": False,
    "externalAuthentication": True,
    "ingress": {"className": CLASS},
}
READ = ["get", "list", "watch"]
CONTROLLER: list[dict[str, Any]] = [
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": CLASS, "labels": MARKS, "annotations": {"meta.helm.sh/release-namespace": "kube-system"}},
        "spec": {"controller": "traefik.io/ingress-controller"},
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": CLASS},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "secrets", "nodes"], "verbs": READ},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
            {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingressclasses"], "verbs": READ},
            {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["update"]},
        ],
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": CLASS},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": CLASS},
        "subjects": [{"kind": "ServiceAccount", "name": CLASS, "namespace": "kube-system"}],
    },
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": CLASS, "namespace": "kube-system"}},
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": CLASS, "namespace": "kube-system"},
        "spec": {"selector": MARKS, "ports": [{"name": "web", "port": 80, "targetPort": "web"}]},
    },
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": CLASS, "namespace": "kube-system", "labels": MARKS},
        "spec": {
            "serviceAccountName": CLASS,
            "terminationGracePeriodSeconds": 1,
            "securityContext": CLOSED,
            "containers": [
                {
                    "name": "traefik",
                    "image": edge_image(),
                    "args": [
                        "--global.checknewversion=false",
                        "--global.sendanonymoususage=false",
                        "--ping=true",
                        "--providers.kubernetesingress",
                        f"--providers.kubernetesingress.namespaces={NAMESPACE}",
                        f"--providers.kubernetesingress.ingressclass={CLASS}",
                        "--entryPoints.web.address=:8000",
                        "--entryPoints.traefik.address=:9000",
                    ],
                    "ports": [{"name": "web", "containerPort": 8000}],
                    "readinessProbe": {"httpGet": {"path": "/ping", "port": 9000}, "periodSeconds": 1},
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    },
]


@pytest.fixture(scope="module")
def controller() -> Iterator[None]:
    """Traefik in kube-system, as k3s has it, with an IngressClass of its own."""
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": CONTROLLER})
    try:
        kubectl("apply", "-f", "-", stdin=listed)
        kubectl("-n", "kube-system", "wait", "--for=condition=Ready", f"pod/{CLASS}", "--timeout=120s")
        yield
    finally:
        kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=listed)


def warnings(played: Played) -> str:
    tasks = [task for play in played.report["plays"] for task in play["tasks"]]
    return " ".join(str(text) for task in tasks for host in task["hosts"].values() for text in host.get("warnings", []))


@pytest.mark.usefixtures("store", "controller")
def test_a_missing_ingress_class_is_said_before_anything_is_done() -> None:
    played = deploy("--check", mlflow_local_s3=S3, mlflow_route={**INGRESS, "ingress": {"className": "nowhere"}})
    assert played.returncode == 0, played.failure
    assert f"There is no IngressClass 'nowhere' (the cluster has: {CLASS})" in warnings(played)


@pytest.fixture(scope="module")
def deployed(store: None, controller: None) -> Played:  # noqa: ARG001
    """MLflow on that store, with a route by that controller."""
    check = deploy("--check", mlflow_local_s3=S3, mlflow_route=INGRESS)
    assert check.returncode == 0, check.failure
    played = deploy(mlflow_local_s3=S3, mlflow_route=INGRESS)
    assert played.returncode == 0, played.failure
    return played


def test_store_whose_service_port_differs_from_pods_works(deployed: Played) -> None:
    assert deployed.mlflow["verified"] is True
    opened = [rule for rule in rules() if {"protocol": "TCP", "port": 9000} in rule["ports"]]
    assert [rule["to"] for rule in opened] == [
        [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": STORE}},
                "podSelector": {"matchLabels": {"app": "store"}},
            }
        ]
    ]
    assert deploy(mlflow_local_s3=S3, mlflow_route=INGRESS).changed == 0


@pytest.mark.usefixtures("deployed")
def test_store_by_its_storage_or_provider_gives_the_same_objects() -> None:
    storage = {
        "uri": "s3://artifacts",
        "env": {"MLFLOW_S3_ENDPOINT_URL": S3["endpoint"], "AWS_DEFAULT_REGION": "us-east-1"},
        "secret": S3["secret"],
    }
    assert deploy(mlflow_provider="existing", mlflow_storage=storage, mlflow_route=INGRESS).changed == 0


def test_the_ui_is_reached_through_a_controller_in_kube_system(deployed: Played) -> None:
    assert f"Pod/{CLASS} in namespace kube-system answers with MLflow's UI" in deployed.mlflow["ui_says"]
    assert "UI, tried: Pod/" in deployed.said("Show where MLflow is")
    assert warnings(deployed) == ""


@pytest.mark.usefixtures("deployed")
def test_rules_shutting_out_the_controller_are_reported_everywhere() -> None:
    wrong = [{"podSelector": {"matchLabels": {"app": "wrong"}}}]
    overrides = {"networkPolicy": {"ingressController": wrong}}
    played = deploy(mlflow_local_s3=S3, mlflow_route=INGRESS, overrides=overrides, mlflow_verify=False)
    assert played.returncode == 0, played.failure
    assert f"does not select Pod/{CLASS} in namespace kube-system" in warnings(played)
    assert "networkPolicy.ingressController does not let" in played.mlflow["ui_says"]


@pytest.mark.usefixtures("deployed")
def test_failed_smoke_test_shows_server_errors_and_open_ways() -> None:
    overrides = {"networkPolicy": {"egress": []}, "verify": {"timeoutSeconds": 25}}
    played = deploy(mlflow_local_s3=S3, overrides=overrides)
    assert played.returncode != 0
    assert f"The last errors of Pod/{RELEASE}-tracking-" in played.failure
    assert f'"http://store.{STORE}.svc/' in played.failure
    assert f"NetworkPolicy/{RELEASE}-tracking lets it reach:" in played.failure
    assert "TCP 443, TCP 80 to every pod in every namespace" in played.failure
    assert "store-secret" not in played.stdout
