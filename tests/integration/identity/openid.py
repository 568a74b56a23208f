"""Run the OpenID provider in a namespace, and get tokens of it."""

from __future__ import annotations

import base64
import json
import secrets
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlencode

from tests.integration.identity.hub import START_SECONDS, send
from tests.integration.nebari.edge.traefik import forwarded
from tests.support import MLFLOW_IMAGE, kubectl

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "provider-requirements.txt"


def issuer(namespace: str) -> str:
    return f"http://openid.{namespace}.svc:8080/realms/nebari"


@dataclass(frozen=True)
class Provider:
    """The provider of a namespace, reached at a port of this machine."""

    port: int
    secret: str
    password: str

    def ask(self, path: str, **fields: Any) -> Any:
        """Read a page; with fields, post them as the client that they name."""
        given = {key: value for key, value in fields.items() if key != "client"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        if fields:
            request.data = urlencode(given).encode()
        if "client" in fields:
            pair = f"{fields['client']}:{self.secret}".encode()
            request.add_header("Authorization", f"Basic {base64.b64encode(pair).decode()}")
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # this machine
            body = answer.read().decode()
        return json.loads(body) if body.startswith("{") else body

    def login(self, name: str, client: str = "mlflow") -> Any:
        """Return a person's tokens."""
        fields = {"grant_type": "password", "username": name, "password": self.password, "scope": "openid"}
        return self.ask("/realms/nebari/token", client=client, **fields)

    def token(self, name: str = "", client: str = "mlflow") -> str:
        """Return an access token: a person's, or the client's own."""
        if name:
            return str(self.login(name, client)["access_token"])
        return str(self.ask("/realms/nebari/token", client=client, grant_type="client_credentials")["access_token"])

    def certificates(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("/realms/nebari/certs")["keys"]
        return found

    def change_key(self) -> None:
        self.ask("/admin/new-key", now="yes")

    def set_clock(self, ahead: int = 0, lifetime: int = 300) -> None:
        self.ask("/admin/clock", ahead=ahead, lifetime=lifetime)


@contextmanager
def provider(namespace: str) -> Iterator[Provider]:
    """Run a provider in a namespace that the caller removes."""
    given = {"secret": secrets.token_hex(16), "password": secrets.token_hex(16)}
    items: list[Any] = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "openid"},
            "data": {"provider.py": (HERE / "provider.py").read_text()},
        },
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "openid"}, "stringData": given},
    ]
    kubectl("-n", namespace, "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    objects = Template((HERE / "provider.yaml").read_text()).substitute(image=MLFLOW_IMAGE, issuer=issuer(namespace))
    kubectl("-n", namespace, "apply", "-f", "-", stdin=objects)
    send(namespace, "openid", REQUIREMENTS)
    kubectl("-n", namespace, "wait", "pod/openid", "--for=condition=Ready", f"--timeout={START_SECONDS}s")
    with forwarded(namespace, "pod/openid", 8080) as port:
        yield Provider(port, given["secret"], given["password"])
