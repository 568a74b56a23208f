"""Every way in which the API or the connection says no has a sentence of its own."""

from __future__ import annotations

import json
import ssl
from typing import Any

import pytest
import urllib3
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.errors import (
    NotFoundError,
    from_exception,
    from_response,
    is_transient,
)

FORBIDDEN = (
    'secrets is forbidden: User "system:serviceaccount:a:b" cannot list resource "secrets" in API group "" '
    'in the namespace "dev"'
)
CLUSTER_WIDE = (
    'namespaces is forbidden: User "ann" cannot create resource "namespaces" in API group "" at the cluster scope'
)
QUOTA = 'pods "x" is forbidden: exceeded quota: q'


def status(message: str, **fields: Any) -> bytes:
    return json.dumps({"kind": "Status", "message": message, **fields}).encode()


@pytest.mark.parametrize(
    ("code", "data", "words"),
    [
        (401, status("Unauthorized"), ["(401 Unauthorized)", "Log in again"]),
        (
            403,
            status(FORBIDDEN),
            ["'system:serviceaccount:a:b' may not list secrets in namespace 'dev'", "can-i list secrets -n dev"],
        ),
        (403, status(CLUSTER_WIDE), ["'ann' may not create namespaces (cluster-wide)", "can-i create namespaces`"]),
        (403, status(QUOTA), ["refused PATCH /x with 403", "exceeded quota: q"]),
        (409, status("the object has been modified"), ["409", "has been modified"]),
        (500, b"<html>broken</html>", ["500", "<html>broken"]),
        (502, b"", ["502", "no message"]),
        (400, b"[]", ["400"]),
    ],
)
def test_response(code: int, data: bytes, words: list[str]) -> None:
    error = from_response("PATCH", "/x", code, data)
    for word in words:
        assert word in str(error)
    assert error.status == code


def test_not_found_has_its_own_class() -> None:
    assert isinstance(from_response("GET", "/x", 404, status("gone")), NotFoundError)


@pytest.mark.parametrize(
    ("code", "data", "transient"),
    [
        (429, b"", True),
        (503, b"", True),
        (504, b"", True),
        (500, status("etcdserver: leader changed"), True),
        (500, status("rpc error: raft proposal dropped"), True),
        (500, status("nil pointer"), False),
        (409, status("conflict"), False),
        (403, status(FORBIDDEN), False),
    ],
)
def test_transient(code: int, data: bytes, transient: bool) -> None:
    assert is_transient(code, data) is transient


def refused(text: str) -> urllib3.exceptions.HTTPError:
    return urllib3.exceptions.NewConnectionError(urllib3.connection.HTTPConnection("x"), text)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (refused("Failed to establish a new connection: [Errno 111] Connection refused"), "refuses connections"),
        (refused("Failed to resolve 'x'"), "cannot be resolved"),
        (urllib3.exceptions.ConnectTimeoutError("timed out"), "does not answer (no connection within 10 s)"),
        (
            urllib3.exceptions.SSLError(
                ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed")
            ),
            "does not verify",
        ),
        (urllib3.exceptions.SSLError("[SSL: WRONG_VERSION_NUMBER] wrong version"), "does not speak TLS"),
        (urllib3.exceptions.ProtocolError("Connection aborted."), "failed (Connection aborted.)"),
    ],
)
def test_exception(error: urllib3.exceptions.HTTPError, words: str) -> None:
    found = from_exception(error, "https://cluster:6443")
    assert words in found.cause
    assert "https://cluster:6443" in found.cause
    assert found.fix
