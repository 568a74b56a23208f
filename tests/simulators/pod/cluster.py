"""The Kubernetes cluster that a simulator runs in, known as clouds know clusters: by who signs their tokens.

https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery
"""

from __future__ import annotations

import json
import ssl
import time
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

MOUNTED = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API = "https://kubernetes.default.svc"


class NotTrusted(Exception):
    """A token that this cluster did not sign, or that has expired."""


@dataclass(frozen=True)
class ServiceAccount:
    namespace: str
    name: str
    annotations: dict[str, str]


class Cluster:
    """Asks the API with the pod's own service account, which must be allowed to read pods and service accounts."""

    @cached_property
    def namespace(self) -> str:
        return (MOUNTED / "namespace").read_text()

    @cached_property
    def issuer(self) -> str:
        return str(self._get("/.well-known/openid-configuration")["issuer"])

    @cached_property
    def _keys(self) -> KeySet:
        return KeySet.import_key_set(self._get("/openid/v1/jwks"))

    def claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a token, its signature and its times checked."""
        try:
            claims = jwt.decode(token, self._keys, algorithms=["RS256"]).claims
        except (JoseError, ValueError) as error:
            raise NotTrusted(f"not a token of this cluster: {error}") from error
        if claims.get("iss") != self.issuer or not claims.get("nbf", 0) <= time.time() < claims.get("exp", 0):
            raise NotTrusted("the token has another issuer or is not valid now")
        return dict(claims)

    def account_at(self, address: str) -> ServiceAccount:
        """Return the service account of the pod that has an IP address."""
        selector = f"fieldSelector=status.podIP%3D{address},status.phase%3DRunning"
        pods = self._get(f"/api/v1/namespaces/{self.namespace}/pods?{selector}")["items"]
        if len(pods) != 1:
            raise NotTrusted(f"{len(pods)} pods have the address {address}")
        return self.account(pods[0]["spec"]["serviceAccountName"])

    def account(self, name: str) -> ServiceAccount:
        account = self._get(f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{name}")
        return ServiceAccount(self.namespace, name, account["metadata"].get("annotations", {}))

    def _get(self, path: str) -> Any:
        token = (MOUNTED / "token").read_text()
        request = urllib.request.Request(f"{API}{path}", headers={"Authorization": f"Bearer {token}"})  # noqa: S310
        context = ssl.create_default_context(cafile=str(MOUNTED / "ca.crt"))
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:  # noqa: S310
            return json.load(answer)
