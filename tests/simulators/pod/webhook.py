"""What clouds change in a pod when it is made: their clusters have a webhook that gives it the token of its identity.

https://docs.aws.amazon.com/eks/latest/userguide/pod-configuration.html
https://azure.github.io/azure-workload-identity/docs/installation/mutating-admission-webhook.html
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#response
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ..authority import Authority
from .cluster import Cluster

BUNDLE = "/var/run/cloud/ca.pem"


@dataclass(frozen=True)
class Identity:
    """A token of the pod's service account, as a file, and what tells a cloud's library of it."""

    env: dict[str, str]
    volume: str
    folder: str
    file: str
    audience: str
    seconds: int


def of_eks(pod: dict[str, Any], annotations: dict[str, str]) -> Identity | None:
    del pod
    role = annotations.get("eks.amazonaws.com/role-arn")
    if role is None:
        return None
    folder = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
    env = {
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
        "AWS_REGION": "eu-west-1",
        "AWS_ROLE_ARN": role,
        "AWS_WEB_IDENTITY_TOKEN_FILE": f"{folder}/token",
    }
    return Identity(env, "aws-iam-token", folder, "token", "sts.amazonaws.com", 86400)


def of_aks(pod: dict[str, Any], annotations: dict[str, str]) -> Identity | None:
    if pod["metadata"].get("labels", {}).get("azure.workload.identity/use") != "true":
        return None
    folder, file = "/var/run/secrets/azure/tokens", "azure-identity-token"
    env = {
        "AZURE_CLIENT_ID": annotations.get("azure.workload.identity/client-id", ""),
        "AZURE_TENANT_ID": "11111111-1111-1111-1111-111111111111",
        "AZURE_FEDERATED_TOKEN_FILE": f"{folder}/{file}",
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
    }
    return Identity(env, file, folder, file, "api://AzureADTokenExchange", 3600)


WEBHOOKS = {"aws": of_eks, "azure": of_aks}


def network(cloud: str, address: str) -> dict[str, str]:
    """Return what takes a pod's calls to the simulator; on a cloud's own nodes its addresses need no such thing."""
    env = {"HTTPS_PROXY": f"http://{address}", "REQUESTS_CA_BUNDLE": BUNDLE, "AWS_CA_BUNDLE": BUNDLE}
    # GKE's nodes answer for 169.254.169.254 themselves.
    return env | ({"GCE_METADATA_HOST": address, "GCE_METADATA_IP": address} if cloud == "gcp" else {})


def changed(pod: dict[str, Any], cloud: str, address: str, annotations: dict[str, str]) -> dict[str, Any]:
    """Return the pod's spec with its identity, and with the way to the simulator. Set variables stay as they are."""
    spec: dict[str, Any] = json.loads(json.dumps(pod["spec"]))
    identity = WEBHOOKS[cloud](pod, annotations) if cloud in WEBHOOKS else None
    env, mounts = network(cloud, address), {"cloud-ca": BUNDLE.rpartition("/")[0]}
    volumes = [{"name": "cloud-ca", "configMap": {"name": "cloud-ca"}}]
    if identity is not None:
        env |= identity.env
        mounts[identity.volume] = identity.folder
        token = {"audience": identity.audience, "expirationSeconds": identity.seconds, "path": identity.file}
        sources = [{"serviceAccountToken": token}]
        volumes.append({"name": identity.volume, "projected": {"sources": sources}})
    spec.setdefault("volumes", []).extend(volumes)
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        has = {each["name"] for each in container.setdefault("env", [])}
        container["env"] += [{"name": name, "value": value} for name, value in env.items() if name not in has]
        container.setdefault("volumeMounts", []).extend(
            {"name": name, "mountPath": path, "readOnly": True} for name, path in mounts.items()
        )
    return spec


def review(asked: dict[str, Any], cloud: str, address: str, cluster: Cluster) -> dict[str, Any]:
    """Answer an AdmissionReview."""
    pod = asked["request"]["object"]
    account = cluster.account(pod["spec"].get("serviceAccountName", "default"))
    patch = [{"op": "replace", "path": "/spec", "value": changed(pod, cloud, address, account.annotations)}]
    encoded = base64.b64encode(json.dumps(patch).encode()).decode()
    response = {"uid": asked["request"]["uid"], "allowed": True, "patchType": "JSONPatch", "patch": encoded}
    return {"apiVersion": asked["apiVersion"], "kind": asked["kind"], "response": response}


@contextmanager
def serving(cloud: str, host: str, port: int, cluster: Cluster, authority: Authority) -> Iterator[None]:
    """Serve the webhook by TLS on `port`, within the block; `host` is the Service's name, whose 443 is the proxy's."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = json.dumps(review(asked, cloud, f"{host}:443", cluster)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    server = ThreadingHTTPServer(("0.0.0.0", port), Handler)  # noqa: S104 - the API server is in another pod
    server.socket = authority.context(host).wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
