# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Turn what the Kubernetes API or the connection to it says into one sentence with its cause and its fix."""

from __future__ import annotations

import json
import re
import ssl
from typing import Any

import urllib3

from ..errors import ApiError, ClusterUnusable

TOO_MANY = 429
UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404
GATEWAY = {502, 503, 504}
PASSING = re.compile(
    r"leader changed|raft proposal dropped|etcdserver: request timed out|too many requests|"
    r"connection reset|http2: |TLS handshake timeout|context deadline exceeded",
    re.I,
)
ALERT = re.compile(r"alert (decode|internal) error", re.I)  # a server that is short of time or memory says so
RIGHT = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]+)")?'
)


class NotFoundError(ApiError):
    """There is no such object."""


def is_transient(status: int, data: bytes) -> bool:
    """Say if the same request may succeed a moment later. A 500 may only if its message says so."""
    if status == TOO_MANY or status in GATEWAY:
        return True
    return status == 500 and bool(PASSING.search(data.decode("utf-8", "replace")))


def is_answer(error: urllib3.exceptions.HTTPError) -> bool:
    """Say if a server was there although no answer came: it cut the connection, or ended a handshake with an alert."""
    return isinstance(error, urllib3.exceptions.ProtocolError) or bool(ALERT.search(str(error).replace("_", " ")))


def from_response(method: str, path: str, status: int, data: bytes) -> ApiError:
    """Describe an error status by the Status object in its body."""
    try:
        body: dict[str, Any] = json.loads(data)
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    message = str(body.get("message") or data[:300].decode("utf-8", "replace").strip() or "no message")
    if status == UNAUTHORIZED:
        return ApiError(
            status,
            body,
            "The Kubernetes API does not accept the kubeconfig's credentials (401 Unauthorized).",
            "Log in again or renew the kubeconfig; `kubectl auth whoami` shows whether it works.",
        )
    if status == FORBIDDEN and (right := RIGHT.search(message)):
        return ApiError(status, body, *describe_right(**right.groupdict()))
    if status == NOT_FOUND:
        return NotFoundError(status, body, f"The Kubernetes API has no {path} ({message}).")
    return ApiError(status, body, f"The Kubernetes API refused {method} {path} with {status}: {message}")


def describe_right(
    user: str, verb: str, resource: str, group: str = "", namespace: str | None = None
) -> tuple[str, str]:
    """Return the sentence for a right that RBAC does not grant, and its fix."""
    what = f"{resource}.{group}" if group else resource
    where = f" in namespace {namespace!r}" if namespace else " (cluster-wide)"
    option = f" -n {namespace}" if namespace else ""
    return (
        f"User {user!r} may not {verb} {what}{where}.",
        f"Have a cluster administrator grant it, or use another kubeconfig or context; "
        f"`kubectl auth can-i {verb} {what}{option}` tells when it is there.",
    )


def from_exception(error: urllib3.exceptions.HTTPError, server: str) -> ClusterUnusable:
    """Describe a connection that never gave an answer."""
    reason: BaseException = getattr(error, "reason", None) or error
    text = str(reason)
    look = "Check `server` in the kubeconfig, and that the cluster runs and is reachable from here."
    tls = isinstance(error, urllib3.exceptions.SSLError) or isinstance(reason, ssl.SSLError)
    if tls and "CERTIFICATE_VERIFY_FAILED" in text.upper().replace(" ", "_"):
        return ClusterUnusable(
            f"The certificate of {server} does not verify ({_short(text)}).",
            "Set `certificate-authority-data` in the kubeconfig to the cluster's own CA, or download it again.",
        )
    if tls:
        return ClusterUnusable(
            f"{server} does not speak TLS as expected ({_short(text)}).",
            "Check the scheme and port of `server` in the kubeconfig.",
        )
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError) and not isinstance(
        error, urllib3.exceptions.NewConnectionError
    ):
        return ClusterUnusable(f"{server} does not answer (no connection within 10 s).", look)
    if "refused" in text.lower():
        return ClusterUnusable(f"{server} refuses connections.", look)
    if isinstance(error, urllib3.exceptions.NameResolutionError) or "resolve" in text.lower():
        return ClusterUnusable(f"The name in {server} cannot be resolved.", look)
    return ClusterUnusable(f"The connection to {server} failed ({_short(text)}).", look)


def _short(text: str) -> str:
    """The last part of urllib3's nested messages, which is the one that says something."""
    inner = re.findall(r"(\[SSL[^\]]*\][^)]*|certificate verify failed[^)]*)", text)
    return str(inner[-1] if inner else text)[:200].strip()
