"""The network rules follow what the cluster has: stores behind Services, and the controller that serves the UI."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import ROOT, Played, kubectl, play

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
CLOSED = {"seccompProfile": {"type": "RuntimeDefault"}, "runAsNonRoot": True, "runAsUser": 1000}


def stores() -> str:
    made = ROOT / ".cluster/stores"
    found = os.environ.get("NEBARI_MLFLOW_STORES_IMAGE") or (made.read_text().strip() if made.exists() else "")
    if not found:
        pytest.skip("this cluster has no image of the stores: `make stores`, or set NEBARI_MLFLOW_STORES_IMAGE")
    return found


def apply(*objects: dict[str, Any], namespace: str) -> None:
    kubectl(
        "-n", namespace, "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    )


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
    """An S3 store whose Service has port 80, which leads to port 9000 of its pod."""
    keys = {"AWS_ACCESS_KEY_ID": "store", "AWS_SECRET_ACCESS_KEY": "store-secret"}
    container = {
        "name": "moto",
        "image": stores(),
        "command": ["python3", "-m", "moto.server", "-H", "0.0.0.0", "-p", "9000"],  # noqa: S104
        "ports": [{"name": "s3", "containerPort": 9000}],
        "readinessProbe": {"tcpSocket": {"port": 9000}, "periodSeconds": 1},
        "env": [{"name": name, "value": value} for name, value in keys.items()],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    kubectl("create", "namespace", STORE)
    kubectl("create", "namespace", NAMESPACE)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "store", "labels": {"app": "store"}},
        "spec": {"securityContext": CLOSED, "terminationGracePeriodSeconds": 1, "containers": [container]},
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "store"},
        "spec": {"selector": {"app": "store"}, "ports": [{"port": 80, "targetPort": "s3"}]},
    }
    apply(pod, service, namespace=STORE)
    kubectl("-n", STORE, "wait", "--for=condition=Ready", "pod/store", "--timeout=120s")
    bucket = "import boto3; boto3.client('s3', endpoint_url='http://127.0.0.1:9000').create_bucket(Bucket='artifacts')"
    kubectl("-n", STORE, "exec", "store", "--", "env", "AWS_DEFAULT_REGION=us-east-1", "python3", "-c", bucket)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "store-keys"}, "stringData": keys}
    apply(secret, namespace=NAMESPACE)


def rules() -> list[dict[str, Any]]:
    name = f"{RELEASE}-tracking"
    found: list[dict[str, Any]] = json.loads(kubectl("-n", NAMESPACE, "get", "networkpolicy", name, "-o", "json"))[
        "spec"
    ]["egress"]
    return found


@pytest.mark.usefixtures("store")
def test_a_port_that_the_store_lacks_is_refused_first() -> None:
    played = deploy(mlflow_local_s3={**S3, "endpoint": f"http://store.{STORE}.svc:9000"})
    assert played.returncode != 0
    assert "names port 9000 of Service store in namespace network-store, which has: 80" in played.failure
    assert kubectl("-n", NAMESPACE, "get", "deploy,networkpolicy,pvc,lease", "-o", "name") == ""


@pytest.mark.usefixtures("store")
def test_a_store_whose_service_has_another_port_than_its_pods_works() -> None:
    check = deploy("--check", mlflow_local_s3=S3)
    assert check.returncode == 0, check.failure
    played = deploy(mlflow_local_s3=S3)
    assert played.returncode == 0, played.failure
    assert played.mlflow["verified"] is True
    opened = [rule for rule in rules() if {"protocol": "TCP", "port": 9000} in rule["ports"]]
    assert [rule["to"] for rule in opened] == [
        [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": STORE}},
                "podSelector": {"matchLabels": {"app": "store"}},
            }
        ]
    ]
    assert deploy(mlflow_local_s3=S3).changed == 0
