"""AWS: moto's server, with what moto does not check before it, and EKS Pod Identity beside it."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import moto.iam.access_control
from moto.server import ThreadedMotoServer

from ..http import Request, Response
from ..proxy import Cloud, Proxy
from .authorization import refusal
from .eks import Eks, credentials
from .evaluation import Policy
from .names import error_for, name, region_of, service_of
from .rules import ACCOUNT, Rules

__all__ = ["ACCOUNT", "Moto", "environment", "error_for", "serve"]

HOSTS = ("*.amazonaws.com", "*.api.aws")
REGIONS = set(boto3.session.Session().get_available_regions("s3"))


class TlsPolicy(moto.iam.access_control.IAMPolicy):  # type: ignore[misc] # moto has no types
    """A bucket policy, of which moto ignores the conditions: here all calls came by TLS, so what is for others falls.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-securetransport
    """

    def __init__(self, policy: Any) -> None:
        super().__init__(policy)
        statements = self._policy_json["Statement"]
        if isinstance(statements, list):
            unsafe = {"Bool": {"aws:SecureTransport": "false"}}
            self._policy_json["Statement"] = [each for each in statements if each.get("Condition") != unsafe]


class Moto:
    """moto's server on loopback, as an app."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.url = f"http://127.0.0.1:{port}"
        self.rules = Rules()
        self.eks = Eks(self.rules)
        self.policy: Policy | None = None  # what the deployer may do; None is everything
        self.late = 0  # refusals until the tags of keys count for a permission

    def clear(self) -> None:
        self.post("/moto-api/reset")
        self.rules.clear()
        self.policy, self.late = None, 0
        self.eks.clear()

    def __call__(self, request: Request) -> Response:
        if self.policy is not None:
            denied = refusal(self.policy, request, self.eks.associations, self.late > 0)
            if denied is not None:
                self.late -= 1
                return denied
        if service_of(request) == "eks":
            return self.eks(request)
        if service_of(request) == "eks-auth":
            return credentials(self.eks, request)
        refused = self.rules.before(request)
        if refused is not None:
            return refused
        response = self._forward(request)
        self.rules.after(request, response)
        return response

    def _forward(self, request: Request) -> Response:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("transfer-encoding", "expect")}
        headers["Content-Length"] = str(len(request.body))
        connection.request(request.method, request.target, request.body, headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return Response(response.status, body, dict(response.getheaders()))

    def post(self, path: str, body: bytes = b"") -> None:
        """Call moto's own control interface."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection.request("POST", path, body)
        connection.getresponse().read()
        connection.close()


def resolves(host: str) -> bool:
    """There are no endpoints in regions that do not exist.

    https://docs.aws.amazon.com/general/latest/gr/rande.html
    """
    return region_of(Request(host, "", "", {}, b"")) in REGIONS


@contextmanager
def serve(folder: Path, **listen: Any) -> Iterator[tuple[Proxy, Moto]]:
    """Run moto and a proxy before it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    original, moto.iam.access_control.IAMPolicy = moto.iam.access_control.IAMPolicy, TlsPolicy
    app = Moto(server.get_host_and_port()[1])
    try:
        with Proxy(Cloud(HOSTS, app, name, resolves), folder, **listen) as proxy:
            yield proxy, app
    finally:
        moto.iam.access_control.IAMPolicy = original
        server.stop()


def environment(proxy: Proxy) -> dict[str, str]:
    """Return what makes unmodified clients of AWS talk to the simulator."""
    return {
        "HTTPS_PROXY": proxy.url,
        "NO_PROXY": "127.0.0.1,localhost",
        "AWS_CA_BUNDLE": str(proxy.authority.bundle),
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
