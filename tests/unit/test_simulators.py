"""The simulators are strict: what they do not know they refuse, and each call says whose reference it follows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests.simulators import azure, gcp
from tests.simulators.azure.routes import ROUTES as AZURE
from tests.simulators.gcp.routes import ROUTES as GOOGLE
from tests.simulators.http import App, Request, answer
from tests.simulators.pod.cluster import Cluster, NotTrusted
from tests.simulators.proxy import Cloud, Proxy

SUBSCRIPTION = "00000000-0000-0000-0000-00000000000a"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/a"


def ask(app: App, host: str, method: str, target: str, body: bytes = b"", token: str = "a-token") -> int:
    return app(Request(host, method, target, {"Authorization": f"Bearer {token}"}, body)).status


@pytest.mark.parametrize("route", [*AZURE, *GOOGLE], ids=lambda route: f"{route.method} {route.path}")
def test_every_call_cites_the_reference_that_it_follows(route: object) -> None:
    assert str(getattr(route, "reference", "")).startswith("https://")


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("GET", f"{GROUP}?api-version=2024-03-01", b"", 404),
        ("GET", f"{GROUP}?api-version=2019-01-01", b"", 501),
        ("GET", GROUP, b"", 501),
        ("PATCH", f"{GROUP}?api-version=2024-03-01", b"{}", 501),
        ("PUT", f"{GROUP}?api-version=2024-03-01", b'{"location": "eastus", "colour": "red"}', 501),
        ("PUT", f"{GROUP}?api-version=2024-03-01", b'{"tags": {}}', 400),
        ("PUT", f"{GROUP}?api-version=2024-03-01", b'{"location": "atlantis"}', 400),
        ("PUT", f"{ACCOUNT}?api-version=2023-05-01", b"{}", 400),
        ("GET", "/subscriptions/other/resourceGroups/g?api-version=2024-03-01", b"", 404),
    ],
)
def test_azure_refuses_what_the_reference_has_not(method: str, target: str, body: bytes, status: int) -> None:
    app = azure.app(azure.Arm(SUBSCRIPTION))
    assert ask(app, "management.azure.com", method, target, body) == status
    assert ask(app, "management.azure.com", method, target, body, token="forged") in (401, 501)


@pytest.mark.parametrize(
    ("host", "method", "target", "body", "status"),
    [
        ("storage", "GET", "/storage/v1/b/nobodys", b"", 404),
        ("storage", "GET", "/storage/v1/b/Not_A_Name!", b"", 400),
        ("storage", "GET", "/storage/v2/b/nobodys", b"", 501),
        ("storage", "PUT", "/storage/v1/b/nobodys", b"{}", 501),
        ("storage", "POST", "/storage/v1/b?project=p", b'{"name": "abc", "colour": "red"}', 501),
        ("storage", "POST", "/storage/v1/b?project=other", b'{"name": "abc"}', 400),
        ("storage", "POST", "/storage/v1/b?project=p&colour=red", b'{"name": "abc"}', 501),
        ("iam", "POST", "/v1/projects/p/serviceAccounts", b'{"accountId": "short"}', 400),
        ("iam", "GET", "/v1/projects/other/serviceAccounts/a@b", b"", 403),
    ],
)
def test_google_refuses_what_the_reference_has_not(
    host: str, method: str, target: str, body: bytes, status: int
) -> None:
    app = gcp.app(gcp.Google("p", "1"))
    assert ask(app, f"{host}.googleapis.com", method, target, body) == status
    assert ask(app, f"{host}.googleapis.com", method, target, body, token="forged") in (401, 501)


def test_proxy_refuses_unsimulated_hosts_and_records_calls(tmp_path: Path) -> None:
    cloud = Cloud(("known.example",), lambda _: answer(200, {"ok": True}), lambda request: (request.path, False))
    with Proxy(cloud, tmp_path) as proxy, requests.Session() as session:
        session.trust_env = False
        session.proxies = {"https": proxy.url, "http": proxy.url}
        session.verify = str(proxy.authority.bundle)
        assert session.get("https://known.example/x", timeout=10).json() == {"ok": True}
        with pytest.raises(requests.exceptions.ProxyError, match="403"):
            session.get("https://unknown.example/x", timeout=10)
        assert session.get("http://known.example/x", timeout=10).status_code == 403
        assert proxy.refused == ["unknown.example", "http://known.example/x"]
        assert [call.action for call in cloud.calls] == ["/x"]
        assert '"status": 200' in (tmp_path / "calls.jsonl").read_text()


ISSUER = "https://kubernetes.default.svc.cluster.local"
OURS, THEIRS = RSAKey.generate_key(2048, auto_kid=True), RSAKey.generate_key(2048, auto_kid=True)


class OneKey(Cluster):
    """A cluster that signs with OURS."""

    def _get(self, path: str) -> Any:
        return {"issuer": ISSUER} if path.endswith("configuration") else KeySet([OURS]).as_dict(private=False)


def token(key: RSAKey, **changed: Any) -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": "system:serviceaccount:dev:nebari-mlflow", "nbf": now - 5, "exp": now + 60}
    return jwt.encode({"alg": "RS256", "kid": key.kid}, {**claims, **changed}, key)


def test_a_cluster_knows_its_own_tokens_and_no_others() -> None:
    assert OneKey().claims(token(OURS))["sub"].endswith("nebari-mlflow")
    past = int(time.time()) - 10
    header, _, signature = token(OURS).split(".")
    swapped = f"{header}.{token(OURS, sub='somebody').split('.')[1]}.{signature}"
    for wrong in (token(THEIRS), token(OURS, exp=past), token(OURS, iss="https://elsewhere"), swapped, "a.b.c", ""):
        with pytest.raises(NotTrusted):
            OneKey().claims(wrong)


def test_google_accepts_a_signed_key_for_that_host_only() -> None:
    google = gcp.Google("p", "1")
    google.keys[gcp.DEPLOYER] = OURS.as_pem(private=False).decode()
    host, own = "compute.googleapis.com", {"iss": gcp.DEPLOYER, "sub": gcp.DEPLOYER}
    path = "/compute/v1/projects/p/regions"
    assert ask(gcp.app(google), host, "GET", path, token=token(OURS, aud=f"https://{host}/", **own)) == 200
    for wrong in (
        token(THEIRS, aud=f"https://{host}/", **own),
        token(OURS, aud="https://storage.googleapis.com/", **own),
        token(OURS, aud=f"https://{host}/", iss=gcp.DEPLOYER, sub="somebody"),
        token(OURS, aud=f"https://{host}/", exp=int(time.time()) - 10, **own),
        "a.b.c",
    ):
        assert ask(gcp.app(google), host, "GET", path, token=wrong) == 401
