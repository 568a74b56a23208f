"""A simulated cloud as a pod of the test cluster: `nebari` and MLflow's own pods both live in it.

It serves the cloud's interface through a proxy, to `nebari` by a forwarded port and to pods by its Service, holds what
they store, knows the cluster's service accounts by their tokens, and changes pods as the cloud's own webhook does. So
nothing of MLflow's is told where the cloud is: the configuration is what a user writes.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import ROOT, kubectl

from .support import Project

SIMULATORS = ROOT / "tests/simulators"
FILES = sorted(SIMULATORS.rglob("*.py"))
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
LABELS = {"app": "cloud"}


@dataclass(frozen=True)
class Cloud:
    """`project.env` is what a deployer on this machine sets."""

    name: str
    project: Project
    port: int

    def calls(self) -> list[dict[str, Any]]:
        """All calls until now: what the cloud calls the action, whether it writes, who made it, the answer's status."""
        return [json.loads(line) for line in _read(self.project.namespace, "calls.jsonl").splitlines()]

    def objects(self) -> dict[str, int]:
        """The size of everything that is stored, by bucket (or account and container) and name."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/objects", timeout=30) as answer:
            found: dict[str, int] = json.load(answer)
            return found

    def token(self, account: str, audience: str) -> str:
        """A token of a service account in the project's namespace, as the cluster signs it."""
        return kubectl("-n", self.project.namespace, "create", "token", account, f"--audience={audience}").strip()


def by_pods(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [call for call in calls if call["client"] != "127.0.0.1"]


def by_deployer(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [call for call in calls if call["client"] == "127.0.0.1"]


@contextmanager
def cloud(name: str, image: str, project: Project) -> Iterator[Cloud]:
    """Start one in the project's namespace, which it goes with, and which must not be there."""
    namespace = project.namespace
    hook = f"nebari-mlflow-test-{namespace}"
    try:
        kubectl("delete", "namespace", namespace, "--ignore-not-found", "--timeout=120s")
        everything = {"apiVersion": "v1", "kind": "List", "items": manifests(name, image, namespace)}
        kubectl("apply", "-f", "-", stdin=json.dumps(everything))
        kubectl("-n", namespace, "wait", "pod/cloud", "--for=condition=Ready", "--timeout=120s")
        authority = _read(namespace, "ca.pem")
        bundle = project.folder / "ca.pem"
        bundle.write_text(authority)
        for each in (trusted(namespace, authority), webhook(hook, namespace, authority)):
            kubectl("apply", "-f", "-", stdin=json.dumps(each))
        with forwarded(namespace) as port:
            env = json.loads(_read(namespace, "environment.json"))
            bundles = {key: str(bundle) for key in env if key.endswith("CA_BUNDLE")}
            issuer = json.loads(kubectl("get", "--raw", "/.well-known/openid-configuration"))["issuer"]
            ours = {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "UPSTREAM_ISSUER": issuer, **bundles}
            yield Cloud(name, dataclasses.replace(project, env={**env, **ours}), port)
    finally:
        kubectl("delete", "mutatingwebhookconfiguration", hook, "--ignore-not-found")


def _read(namespace: str, file: str) -> str:
    return kubectl("-n", namespace, "exec", "cloud", "--", "cat", f"/state/{file}")


@contextmanager
def forwarded(namespace: str) -> Iterator[int]:
    """Forward a free port of this machine to the cloud's proxy."""
    argv = ["kubectl", "-n", namespace, "port-forward", "pod/cloud", ":443"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()  # Forwarding from 127.0.0.1:PORT -> 443
        yield int(line.split(":")[1].split()[0])
    finally:
        process.terminate()
        process.wait()


def manifests(name: str, image: str, namespace: str) -> list[dict[str, Any]]:
    def thing(kind: str, called: str = "cloud", version: str = "v1", **content: Any) -> dict[str, Any]:
        metadata = {"name": called, "namespace": namespace, "labels": LABELS}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}

    account = {"kind": "ServiceAccount", "name": "cloud", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    ports = [{"name": "proxy", "port": 443}, {"name": "webhook", "port": 8443}]
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        thing("ServiceAccount"),
        thing("RoleBinding", version="rbac.authorization.k8s.io/v1", roleRef=role, subjects=[account]),
        thing("ConfigMap", data={key(path): path.read_text() for path in FILES}),
        thing("Service", spec={"selector": LABELS, "ports": ports}),
        thing("Pod", spec=pod(name, image)),
    ]


def key(path: Path) -> str:
    """A ConfigMap's key has no slash."""
    return str(path.relative_to(SIMULATORS)).replace("/", ".")


def pod(name: str, image: str) -> dict[str, Any]:
    serve = ["python3", "-m", "tests.simulators.pod", name, "/state"]
    mounts = {"simulators": "/simulators/tests/simulators", "state": "/state", "tmp": "/tmp"}  # noqa: S108
    items = [{"key": key(path), "path": str(path.relative_to(SIMULATORS))} for path in FILES]
    started = {
        "exec": {"command": ["test", "-f", "/state/environment.json"]},
        "periodSeconds": 1,
        "failureThreshold": 120,
    }
    return {
        "serviceAccountName": "cloud",
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
            "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],  # pods reach stores at 443
        },
        "containers": [
            {
                "name": "cloud",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "command": serve,
                "workingDir": "/simulators",
                "env": [{"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}, {"name": "HOME", "value": "/state"}],
                "securityContext": RESTRICTED,
                "startupProbe": started,
                "volumeMounts": [{"name": volume, "mountPath": path} for volume, path in mounts.items()],
            }
        ],
        "volumes": [
            {"name": "simulators", "configMap": {"name": "cloud", "items": items}},
            {"name": "state", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }


def trusted(namespace: str, authority: str) -> dict[str, Any]:
    metadata = {"name": "cloud-ca", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.pem": authority}}


def webhook(name: str, namespace: str, authority: str) -> dict[str, Any]:
    """MLflow's pods of this namespace only; without an answer they are not made, so that none goes unchanged."""
    service = {"name": "cloud", "namespace": namespace, "port": 8443, "path": "/pods"}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
    hook = {
        "name": "pods.cloud.example.org",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "timeoutSeconds": 10,
        "clientConfig": {"service": service, "caBundle": base64.b64encode(authority.encode()).decode()},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "objectSelector": {"matchLabels": {"app.kubernetes.io/name": "mlflow"}},
        "rules": [rule],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [hook],
    }
