"""Azure in a pod: each storage account is an Azurite, behind the tokens and the role assignments of the simulator.

Azurite reads the claims of a token, but not who signed it or what its bearer may do.
https://learn.microsoft.com/azure/aks/workload-identity-overview
"""

from __future__ import annotations

import os
import re
import ssl
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import OctKey

from .. import azure
from ..authority import Authority
from ..azure.blobs import refusal
from ..azure.login import TENANT
from ..azure.routes import CONTAINER
from ..http import Request, Response, answer
from ..proxy import Proxy
from .cluster import Cluster, NotTrusted
from .stores import Store, free_port, running

SUBSCRIPTION = "00000000-0000-0000-0000-00000000000a"
VERSION = "2023-11-03"
KEY = "bm9ib2R5IG5lZWRzIGl0"  # of every account, which takes none of the calls that come here


@contextmanager
def serve(folder: Path, cluster: Cluster, **listen: Any) -> Iterator[tuple[Proxy, dict[str, str]]]:
    """Run Azure, in which the resource group of the cluster exists."""
    with ExitStack() as stack:
        proxy, arm = stack.enter_context(azure.serve(folder, SUBSCRIPTION, **listen))
        own = folder / "blobs"
        own.mkdir()
        blobs = Blobs(arm, own)
        stack.enter_context(blobs.stack)
        manage = proxy.cloud.app

        def app(request: Request) -> Response:
            if request.host.endswith(azure.BLOBS):
                with arm.lock:
                    refused = refusal(arm, request)
                return refused or blobs.forward(request)
            if request.host == azure.LOGIN and (refused := untrusted(cluster, request)):
                return refused
            response = manage(request)
            made = re.fullmatch(CONTAINER, request.path.lower())
            if request.method == "PUT" and response.status == 201 and made:
                blobs.create(made[3], made[4])
            return response

        proxy.cloud.app, proxy.cloud.plain = app, blobs.objects
        group = f"/subscriptions/{SUBSCRIPTION}/resourcegroups/demo-dev"
        arm.resources[group] = {"id": group, "location": "westeurope", "tags": {}}
        environment = azure.environment(proxy)
        # Nebari wants Terraform's names, and asks for AKS's versions by the SDK, which has others.
        names = ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET")
        for_sdk = {f"AZURE_{name}": environment[f"ARM_{name}"] for name in names}
        yield proxy, environment | for_sdk | {"ARM_SUBSCRIPTION_ID": SUBSCRIPTION}


def untrusted(cluster: Cluster, request: Request) -> Response | None:
    """Refuse a token that the cluster did not sign; whether a credential names it is decided in azure/login.py."""
    shown = request.form.get("client_assertion")
    try:
        if shown is not None:
            cluster.claims(shown)
    except NotTrusted as error:
        return answer(401, {"error": "invalid_client", "error_description": f"AADSTS700027: {error}"})
    return None


class Blobs:
    """The Azurites; each needs `azurite-blob` on PATH."""

    def __init__(self, arm: azure.Arm, folder: Path) -> None:
        self.arm = arm
        self.stack = ExitStack()
        self._folder = folder
        self._authority = Authority(folder)  # of its own: nobody but this process needs to trust it
        self._signing = OctKey.generate_key(256)
        self._accounts: dict[str, Store] = {}

    def forward(self, request: Request) -> Response:
        """Pass on what is allowed, with a token that Azurite can read."""
        return self._accounts[request.host.partition(".")[0]].forward(request, Authorization=self._bearer())

    def create(self, account: str, container: str) -> None:
        """Make a container that the Resource Manager was asked for, and the account's own Azurite first."""
        if account not in self._accounts:
            self._accounts[account] = self._start(account)
        self._own(account, "PUT", f"/{container}?restype=container")

    def objects(self, _: Request) -> Response:
        """Answer with the size of each blob, by account/container/name: for the tests, not of Azure."""
        found: dict[str, int] = {}
        for account in self._accounts:
            for container in self._listed(account, "/?comp=list", "Container"):
                name = container.findtext("Name")
                for blob in self._listed(account, f"/{name}?restype=container&comp=list", "Blob"):
                    size = blob.findtext("Properties/Content-Length") or "-1"
                    found[f"{account}/{name}/{blob.findtext('Name')}"] = int(size)
        return answer(200, found)

    def _listed(self, account: str, target: str, kind: str) -> list[ET.Element]:
        return list(ET.fromstring(self._own(account, "GET", target)).iter(kind))  # noqa: S314 - of our own program

    def _own(self, account: str, method: str, target: str) -> bytes:
        host = f"{account}{azure.BLOBS}"
        return self._accounts[account].call(
            method, target, Host=host, Authorization=self._bearer(), x_ms_version=VERSION
        )

    def _start(self, account: str) -> Store:
        port, certificate = free_port(), str(self._authority.issue("localhost"))
        options = {"blobHost": "127.0.0.1", "blobPort": port, "oauth": "basic", "cert": certificate, "key": certificate}
        # It knows the versions of the protocol up to its own release; the libraries' newest are a little newer.
        flags = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        argv = ["azurite-blob", *(f"--{name}={value}" for name, value in options.items()), *flags]
        env = {**os.environ, "AZURITE_ACCOUNTS": f"{account}:{KEY}"}
        self.stack.enter_context(running(argv, port, env, cwd=self._folder))
        return Store(port, ssl.create_default_context(cafile=str(self._authority.bundle)))

    def _bearer(self) -> str:
        now = int(time.time())
        times = {"iat": now, "nbf": now - 1, "exp": now + 3600}
        claims = {"aud": "https://storage.azure.com", "iss": f"https://sts.windows.net/{TENANT}/", **times}
        return f"Bearer {jwt.encode({'alg': 'HS256'}, claims, self._signing)}"
