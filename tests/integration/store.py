"""An S3 store in a pod of the cluster, whose Service has port 80, which leads to port 9000 of the pod."""

from __future__ import annotations

import json
from typing import Any

from tests.support import kubectl, stores

KEYS = {"AWS_ACCESS_KEY_ID": "store", "AWS_SECRET_ACCESS_KEY": "store-secret"}
CLOSED = {"seccompProfile": {"type": "RuntimeDefault"}, "runAsNonRoot": True, "runAsUser": 1000}
BUCKET = "artifacts"


def apply(*objects: dict[str, Any], namespace: str) -> None:
    kubectl(
        "-n", namespace, "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    )


def run_store(namespace: str) -> None:
    """Run it in a namespace that exists, and create the bucket."""
    container = {
        "name": "moto",
        "image": stores(),
        "command": ["python3", "-m", "moto.server", "-H", "0.0.0.0", "-p", "9000"],  # noqa: S104
        "ports": [{"name": "s3", "containerPort": 9000}],
        "readinessProbe": {"tcpSocket": {"port": 9000}, "periodSeconds": 1},
        # moto would take the host's first part for a bucket
        "env": [{"name": k, "value": v} for k, v in {**KEYS, "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "1"}.items()],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
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
    apply(pod, service, namespace=namespace)
    kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/store", "--timeout=120s")
    bucket = f"import boto3; boto3.client('s3', endpoint_url='http://127.0.0.1:9000').create_bucket(Bucket='{BUCKET}')"
    kubectl("-n", namespace, "exec", "store", "--", "env", "AWS_DEFAULT_REGION=us-east-1", "python3", "-c", bucket)


def give_keys(namespace: str, name: str) -> None:
    """Create the Secret with the store's keys where MLflow is."""
    apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": KEYS}, namespace=namespace)
