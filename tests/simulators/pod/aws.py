"""AWS in a pod: moto looks at who calls and what its policies allow, and STS at who signed the token that it sees."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3
from moto.s3.models import s3_backends
from moto.sts.responses import TokenResponse

from .. import aws
from ..aws.names import error_for, form, name
from ..http import Request, Response, answer
from ..proxy import Proxy
from .cluster import Cluster, NotTrusted

UNSIGNED = "AssumeRoleWithWebIdentity"  # a call of who has no keys yet
CHECK = "_authenticate_and_authorize_normal_action"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@contextmanager
def serve(folder: Path, cluster: Cluster, **listen: Any) -> Iterator[tuple[Proxy, dict[str, str]]]:
    """Run AWS, in which the cluster's OIDC provider and a deployer exist."""
    with ExitStack() as stack:
        proxy, moto = stack.enter_context(aws.serve(folder, **listen))
        stack.enter_context(unsigned_calls_pass())
        app = proxy.cloud.app
        proxy.cloud.app = lambda request: refusal(cluster, request) or app(request)
        proxy.cloud.plain = objects
        keys = {"aws_access_key_id": "platform", "aws_secret_access_key": "platform"}
        iam = boto3.client("iam", region_name="eu-west-1", endpoint_url=moto.url, **keys)
        iam.create_open_id_connect_provider(
            Url=cluster.issuer, ThumbprintList=["9" * 40], ClientIDList=["sts.amazonaws.com"]
        )
        iam.create_user(UserName="deployer")
        iam.put_user_policy(UserName="deployer", PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
        key = iam.create_access_key(UserName="deployer")["AccessKey"]
        moto.post("/moto-api/reset-auth", b"0")
        secrets = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        yield proxy, aws.environment(proxy) | secrets


def refusal(cluster: Cluster, request: Request) -> Response | None:
    """Refuse a token that the cluster did not sign; whether a role trusts it is decided in aws/trust.py."""
    if name(request)[0] != f"sts:{UNSIGNED}":
        return None
    try:
        cluster.claims(form(request)["WebIdentityToken"])
    except NotTrusted as error:
        return error_for(request, 400, "InvalidIdentityToken", str(error))
    return None


@contextmanager
def unsigned_calls_pass() -> Iterator[None]:
    """Keep moto from looking for a signature where there is none."""
    usual = getattr(TokenResponse, CHECK)

    def check(responses: Any, resource: str = "*") -> None:
        if responses.querystring.get("Action") != [UNSIGNED]:
            usual(responses, resource)

    setattr(TokenResponse, CHECK, check)
    try:
        yield
    finally:
        delattr(TokenResponse, CHECK)


def objects(_: Request) -> Response:
    """Answer with the size of each object that is stored, by bucket/key: for the tests, not of AWS."""
    buckets = s3_backends[aws.ACCOUNT]["aws"].buckets
    return answer(200, {f"{name}/{key}": each.size for name in buckets for key, each in buckets[name].keys.items()})
