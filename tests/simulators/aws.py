"""AWS: moto's server, and the names of its calls.

Names follow the Service Authorization Reference:
https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import moto.iam.access_control
from moto.server import ThreadedMotoServer

from .http import Request, Response, answer
from .proxy import Cloud, Proxy

HOSTS = ("*.amazonaws.com",)
READS = ("Get", "List", "Describe", "Head", "Assume")
# Sub-resources of a bucket, as they stand in the query, and the action's noun.
S3 = {
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "encryption": "EncryptionConfiguration",
    "publicAccessBlock": "BucketPublicAccessBlock",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "location": "BucketLocation",
    "lifecycle": "LifecycleConfiguration",
}


def name(request: Request) -> tuple[str, bool]:
    """Return the IAM action of a call, and whether it writes."""
    service = _service(request.host)
    if service == "s3":
        action = _s3(request)
    elif target := request.headers.get("X-Amz-Target"):
        action = target.rpartition(".")[2]
    elif service == "eks":
        many = request.path.endswith("pod-identity-associations")
        verb = {"GET": "List" if many else "Describe", "DELETE": "Delete", "POST": "Create" if many else "Update"}
        action = f"{verb[request.method]}PodIdentityAssociation{'s' if many and request.method == 'GET' else ''}"
    else:
        action = parse_qs(request.body.decode()).get("Action", ["?"])[0]
    return f"{service}:{action}", not action.startswith(READS)


def _service(host: str) -> str:
    names = host.removesuffix(".amazonaws.com").split(".")
    return next((name for name in ("s3", "kms", "iam", "sts", "eks") if name in names), names[0])


def _s3(request: Request) -> str:
    query = request.query
    if "versions" in query:
        return "ListBucketVersions"
    if "uploads" in query and request.method == "GET":
        return "ListBucketMultipartUploads"
    if "uploadId" in query and request.method == "DELETE":
        return "AbortMultipartUpload"
    if "delete" in query:
        return "DeleteObjectVersion"
    noun = next((noun for key, noun in S3.items() if key in query), "")
    verb = {"GET": "Get", "HEAD": "Head", "PUT": "Put", "DELETE": "Delete", "POST": "Post"}[request.method]
    if noun:
        return verb + noun
    bucket_only = request.path.strip("/").count("/") == 0 and not re.match(r"[^.]+\.s3", request.host)
    if bucket_only or request.path == "/":
        return {"Put": "CreateBucket", "Get": "ListBucket", "Head": "ListBucket", "Delete": "DeleteBucket"}[verb]
    return f"{verb}Object"


def error_for(request: Request, status: int, code: str, message: str = "Injected.") -> Response:
    """Return an error in the protocol that the call's service speaks."""
    service = _service(request.host)
    if service in ("kms", "eks"):
        body = f'{{"__type": "{code}", "message": "{message}"}}'
        return Response(status, body.encode(), {"Content-Type": "application/json", "x-amzn-ErrorType": code})
    if service == "s3":
        xml = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    else:
        xml = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    return Response(status, xml.encode(), {"Content-Type": "application/xml"})


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
        self.eks = Eks()

    def __call__(self, request: Request) -> Response:
        if request.host.startswith("eks."):
            return self.eks(request)
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


class Eks:
    """Pod Identity associations, which moto has not.

    https://docs.aws.amazon.com/eks/latest/APIReference/API_CreatePodIdentityAssociation.html
    """

    def __init__(self) -> None:
        self.associations: dict[str, dict[str, Any]] = {}

    def __call__(self, request: Request) -> Response:
        found = re.fullmatch("/clusters/([^/]+)/pod-identity-associations(?:/([^/]+))?", request.path)
        if found is None:
            return answer(501, {"message": f"not simulated: {request.target}"})
        cluster, identifier = found.groups()
        if identifier is None and request.method == "GET":
            named = {"namespace": request.query["namespace"], "serviceAccount": request.query["serviceAccount"]}
            return answer(200, {"associations": [a for a in self.associations.values() if named.items() <= a.items()]})
        body = request.json() or {}
        if identifier is None:
            identifier = f"a-{len(self.associations)}"
            wanted = {"namespace", "serviceAccount", "roleArn", "clientRequestToken", "tags"}
            if set(body) != wanted:
                return answer(400, {"message": f"fields {sorted(set(body) ^ wanted)}"})
            self.associations[identifier] = {**body, "clusterName": cluster, "associationId": identifier}
        elif identifier not in self.associations:
            return answer(404, {"message": "no such association"}, x_amzn_ErrorType="ResourceNotFoundException")
        if request.method == "DELETE":
            return answer(200, {"association": self.associations.pop(identifier)})
        if request.method == "POST":
            self.associations[identifier].update(body)
        return answer(200, {"association": self.associations[identifier]})


@contextmanager
def serve(folder: Path, port: int = 0) -> Iterator[tuple[Proxy, Moto]]:
    """Run moto and a proxy before it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    original, moto.iam.access_control.IAMPolicy = moto.iam.access_control.IAMPolicy, TlsPolicy
    app = Moto(server.get_host_and_port()[1])
    try:
        with Proxy(Cloud(HOSTS, app, name), folder, port) as proxy:
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
