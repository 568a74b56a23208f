"""What a call of AWS is: its service, its IAM action, its bucket and region.

Actions follow the Service Authorization Reference:
https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

from __future__ import annotations

import re

from ..http import Request, Response

READS = ("Get", "List", "Describe", "Head", "Assume")
SERVICES = ("s3", "kms", "iam", "sts", "eks", "eks-auth")
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
    service = service_of(request)
    if service == "s3":
        action = _s3(request)
    elif target := request.headers.get("X-Amz-Target"):
        action = target.rpartition(".")[2]
    elif request.path == "/addons/supported-versions":
        action = "DescribeAddonVersions"
    elif service == "eks":
        many = request.path.endswith("pod-identity-associations")
        verb = {"GET": "List" if many else "Describe", "DELETE": "Delete", "POST": "Create" if many else "Update"}
        action = f"{verb[request.method]}PodIdentityAssociation{'s' if many and request.method == 'GET' else ''}"
    elif service == "eks-auth":
        action = "AssumeRoleForPodIdentity"
    else:
        action = form(request).get("Action", "?")
    return f"{service}:{action}", not action.startswith(READS)


def service_of(request: Request) -> str:
    parts = _own(request.host).split(".")
    return next((part for part in parts if part in SERVICES), parts[0])


def region_of(request: Request) -> str:
    """Return the region of an endpoint; the global ones are in us-east-1."""
    last = _own(request.host).rpartition(".")[2]
    return "us-east-1" if last in SERVICES else last


def bucket_of(request: Request) -> str:
    """Return the bucket that a call of S3 is about, in its host or its path; "" for none."""
    hosted = re.match(r"(.+)\.s3\.", request.host)
    return hosted.group(1) if hosted else request.path.strip("/").partition("/")[0]


def _own(host: str) -> str:
    return host.removesuffix(".amazonaws.com").removesuffix(".api.aws")


def form(request: Request) -> dict[str, str]:
    return request.form


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


def error_for(request: Request, status: int, code: str, message: str = "Injected.", **headers: str) -> Response:
    """Return an error in the protocol that the call's service speaks."""
    service = service_of(request)
    if service in ("kms", "eks", "eks-auth"):
        body = f'{{"__type": "{code}", "message": "{message}"}}'
        return Response(status, body.encode(), {"Content-Type": "application/json", "x-amzn-ErrorType": code})
    if service == "s3":
        xml = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    else:
        xml = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    return Response(status, xml.encode(), {"Content-Type": "application/xml", **headers})
