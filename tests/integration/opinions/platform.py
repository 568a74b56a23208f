"""Start the admission webhook of a platform, for one namespace."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.opinions.pod import FIRST
from tests.simulators.authority import Authority
from tests.support import MLFLOW_IMAGE, kubectl

PROGRAM = Path(__file__).with_name("pod.py")
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@contextmanager
def platform(kind: str, namespace: str) -> Iterator[None]:
    """Have every pod that is created in the namespace go through `kind`, as long as the block lasts."""
    home = f"{namespace}-platform"
    folder = Path(tempfile.mkdtemp())
    try:
        kubectl("delete", "namespace", home, "--ignore-not-found", "--timeout=120s")
        kubectl("create", "namespace", home)
        authority = Authority(folder)
        certificate = authority.issue(f"platform.{home}.svc").read_text()
        items = {"apiVersion": "v1", "kind": "List", "items": manifests(certificate)}
        kubectl("-n", home, "apply", "-f", "-", stdin=json.dumps(items))
        kubectl("-n", home, "wait", "pod/platform", "--for=condition=Ready", "--timeout=120s")
        kubectl("apply", "-f", "-", stdin=json.dumps(webhook(kind, namespace, home, authority.bundle.read_bytes())))
        yield
    finally:
        kubectl("delete", "mutatingwebhookconfiguration", home, "--ignore-not-found")
        kubectl("delete", "namespace", home, "--ignore-not-found", "--wait=false")
        shutil.rmtree(folder)


def manifests(certificate: str) -> list[dict[str, Any]]:
    def thing(kind: str, **content: Any) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": "platform", "labels": {"app": "platform"}},
        } | content

    container = {
        "name": "platform",
        "image": MLFLOW_IMAGE,
        "command": ["python3", "/platform/pod.py", "/platform/certificate.pem"],
        "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "platform", "mountPath": "/platform"}],
    }
    volume = {"name": "platform", "configMap": {"name": "platform"}}
    return [
        thing("ServiceAccount"),
        thing("ConfigMap", data={"pod.py": PROGRAM.read_text(), "certificate.pem": certificate}),
        thing("Service", spec={"selector": {"app": "platform"}, "ports": [{"port": 443, "targetPort": 8443}]}),
        thing(
            "Pod",
            spec={
                "serviceAccountName": "platform",
                "terminationGracePeriodSeconds": 0,
                "containers": [container],
                "volumes": [volume],
            },
        ),
    ]


def webhook(kind: str, namespace: str, home: str, bundle: bytes) -> dict[str, Any]:
    service = {"name": "platform", "namespace": home, "path": f"/{kind}"}
    hook = {
        "name": f"{kind}.example.org",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "clientConfig": {"service": service, "caBundle": base64.b64encode(bundle).decode()},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": home},
        "webhooks": [hook],
    }


def passwd() -> dict[str, Any]:
    """What CRI-O puts into /etc/passwd of a pod of OpenShift, as the webhook mounts it."""
    lines = ["root:x:0:0:root:/root:/bin/bash", "postgres:x:999:999::/var/lib/postgresql:/bin/bash"]
    lines.append(f"{FIRST}:x:{FIRST}:0:{FIRST} user:/:/sbin/nologin")
    data = {"passwd": "\n".join(lines) + "\n"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "passwd"}, "data": data}
