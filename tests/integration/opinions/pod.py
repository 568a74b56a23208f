"""What platforms do with pods when they are created. Runs in a pod of its own, as an admission webhook.

https://docs.openshift.com/container-platform/latest/authentication/managing-security-context-constraints.html
https://istio.io/latest/docs/setup/additional-setup/sidecar-injection/
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#response
"""

from __future__ import annotations

import base64
import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FIRST, LAST = 1000650000, 1000659999
"""The range of users that the namespace has, as OpenShift writes it into an annotation of each."""

Pod = dict[str, Any]


class RefusedError(Exception):
    """In the platform's words."""


def openshift(pod: Pod) -> Pod:
    """SCC restricted-v2: whoever names a user or group outside the range is refused; the others get one."""
    spec = pod["spec"]
    context = spec.setdefault("securityContext", {})
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        own = container.setdefault("securityContext", {})
        user = own.get("runAsUser", context.get("runAsUser"))
        if user is not None and not FIRST <= user <= LAST:
            raise RefusedError(
                "unable to validate against any security context constraint: provider restricted-v2: "
                f".containers[0].runAsUser: Invalid value: {user}: must be in the ranges: [{FIRST}, {LAST}]"
            )
        own["runAsUser"] = FIRST
        # CRI-O writes a line for a user that the image does not know.
        container.setdefault("volumeMounts", []).append(
            {"name": "passwd", "mountPath": "/etc/passwd", "subPath": "passwd", "readOnly": True}
        )
    group = context.get("fsGroup")
    if group is not None and not FIRST <= group <= LAST:
        raise RefusedError(
            "unable to validate against any security context constraint: provider restricted-v2: "
            f".spec.securityContext.fsGroup: Invalid value: [{group}]: {group} is not an allowed group"
        )
    context["fsGroup"] = FIRST
    spec.setdefault("volumes", []).append({"name": "passwd", "configMap": {"name": "passwd"}})
    return pod


def istio(pod: Pod) -> Pod:
    """A classic sidecar, which runs as long as its pod, unless the pod has the label that keeps it out."""
    if (pod["metadata"].get("labels") or {}).get("sidecar.istio.io/inject") == "false":
        return pod
    spec = pod["spec"]
    proxy = {
        "name": "istio-proxy",
        "image": spec["containers"][0]["image"],
        "command": ["sleep", "36000"],
        "resources": {"requests": {"cpu": "1m"}, "limits": {"memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "runAsUser": 1337,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    spec["containers"].append(proxy)
    return pod


PLATFORMS = {"/openshift": openshift, "/istio": istio}


def review(asked: dict[str, Any], path: str) -> dict[str, Any]:
    """Answer an AdmissionReview."""
    request = asked["request"]
    try:
        changed = PLATFORMS[path](request["object"])
        patch = [{"op": "replace", "path": "/spec", "value": changed["spec"]}]
        encoded = base64.b64encode(json.dumps(patch).encode()).decode()
        response = {"uid": request["uid"], "allowed": True, "patchType": "JSONPatch", "patch": encoded}
    except RefusedError as error:
        response = {"uid": request["uid"], "allowed": False, "status": {"code": 403, "message": str(error)}}
    return {"apiVersion": asked["apiVersion"], "kind": asked["kind"], "response": response}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps(review(asked, self.path.partition("?")[0])).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def main() -> None:
    server = ThreadingHTTPServer(("0.0.0.0", 8443), Handler)  # noqa: S104
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
