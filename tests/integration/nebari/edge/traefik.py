"""Traefik and Nebari's login in front of a project, reached at a port of this machine."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

from tests.support import MLFLOW_IMAGE, ROOT, kubectl

HERE = Path(__file__).parent
GO_MOD = ROOT / "molecule/cluster/traefik/go.mod"
TRAEFIK = "deploy/nebari-traefik-ingress"
LOGIN = "deploy/forwardauth-deployment"


@dataclass(frozen=True)
class Response:
    status: int
    location: str
    body: str


@dataclass(frozen=True)
class Edge:
    """Where the domain is reached: its https port is `port` of this machine."""

    domain: str
    port: int

    @property
    def address(self) -> str:
        return f"https://{self.domain}"

    def request(
        self, path: str, body: str | None = None, headers: Mapping[str, str] | None = None, method: str = ""
    ) -> Response:
        """Ask as a program does, which follows no redirect and keeps no cookie. With a body it is a POST by default."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            self.port,
            timeout=30,
            context=ssl._create_unverified_context(),  # noqa: S323  # Traefik's own certificate
        )
        given = {"Host": self.domain, "Content-Type": "application/json", **(headers or {})}
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, given)
            answer = connection.getresponse()
            return Response(answer.status, answer.headers["Location"] or "", answer.read().decode(errors="replace"))
        finally:
            connection.close()


def image() -> str:
    """Return the official image of the version that the test cluster has."""
    version = re.search(r"traefik/traefik/v3 (v\S+)", GO_MOD.read_text())
    assert version is not None
    return f"docker.io/library/traefik:{version[1]}"


def manifest(namespace: str, domain: str, arguments: Sequence[str] = ()) -> str:
    """Return all objects, as YAML for kubectl."""
    template = Template((HERE / "objects.yaml").read_text())
    more = "".join(f"\n            - {argument}" for argument in arguments)
    given = {"namespace": namespace, "domain": domain, "traefik": image(), "mlflow": MLFLOW_IMAGE}
    objects = template.substitute(given, arguments=more)
    files = {"login.py": (HERE / "login.py").read_text()}
    login = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "login"}, "data": files}
    return f"{objects}---\n{json.dumps(login)}\n"


@contextmanager
def edge(namespace: str, domain: str, arguments: Sequence[str] = (), *, wait: bool = True) -> Iterator[Edge]:
    """Put Traefik and the login into a namespace for as long as the block lasts."""
    objects = manifest(namespace, domain, arguments)
    try:
        kubectl("-n", namespace, "apply", "-f", "-", stdin=objects)
        for deployment in (TRAEFIK, LOGIN):
            kubectl("-n", namespace, "rollout", "status", deployment, "--timeout=120s")
        with forwarded(namespace, TRAEFIK, 8443) as port:
            made = Edge(domain, port)
            if wait:
                wait_for_routes(made, namespace)
            yield made
    finally:
        kubectl("-n", namespace, "delete", "-f", "-", "--ignore-not-found", stdin=objects)


def wait_for_routes(edge: Edge, namespace: str) -> None:
    """Traefik is ready a moment before it has read its routes."""
    end = time.monotonic() + 30  # seconds
    while 404 in (edge.request("/mlflow").status, edge.request("/auth/login").status):
        if time.monotonic() > end:
            raise AssertionError(f"Traefik has no route: {kubectl('-n', namespace, 'logs', TRAEFIK, '--tail=5')}")
        time.sleep(0.2)


@contextmanager
def forwarded(namespace: str, target: str, port: int) -> Iterator[int]:
    """Forward a port of this machine to a pod."""
    command = ["kubectl", "-n", namespace, "port-forward", target, f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            match = re.search(r"127\.0\.0\.1:(\d+)", first)
            assert match is not None, f"{' '.join(command)} said: {first}"
            yield int(match[1])
        finally:
            process.terminate()
