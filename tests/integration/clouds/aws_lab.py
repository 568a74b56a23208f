"""AWS, simulated by moto."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import botocore.loaders
import botocore.session
import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.aws import policies
from ansible_collections.nebari.mlflow.plugins.module_utils.aws.storage import converge
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud import naming

from tests.simulators import aws
from tests.simulators.http import Request, Response
from tests.simulators.proxy import Proxy

from .lab import NAMESPACE, PROJECT, Lab

ACCOUNT, REGION = "123456789012", "eu-west-1"
ISSUER = f"https://oidc.eks.{REGION}.amazonaws.com/id/0123456789ABCDEF"
NAME = naming.bucket_name(PROJECT, NAMESPACE, ACCOUNT)


class AwsLab(Lab):
    provider = "aws"
    converge_function = staticmethod(converge)
    most_reads = 14
    variables = {"mlflow_aws_region": REGION, "mlflow_aws_oidc_issuer_url": ISSUER}  # noqa: RUF012
    params = {  # noqa: RUF012
        "region": REGION,
        "identity": "irsa",
        "oidc_issuer_url": ISSUER,
        "cluster_name": "",
        "enable_s3_encryption": True,
        "permissions_boundary": "",
        "tags": {},
    }

    def __init__(self, proxy: Proxy, moto: aws.Moto) -> None:
        super().__init__(proxy)
        self.moto = moto

    def client(self, service: str) -> Any:
        """Return a client of other people's, not seen by the proxy."""
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.moto.url,
            aws_access_key_id="others",
            aws_secret_access_key="others",
        )

    def environment(self) -> dict[str, str]:
        return aws.environment(self.proxy)

    def reset(self) -> None:
        self.moto.post("/moto-api/reset")
        self.moto.eks.associations.clear()
        self.cloud.clear()
        iam, s3, kms = self.client("iam"), self.client("s3"), self.client("kms")
        iam.create_open_id_connect_provider(Url=ISSUER, ThumbprintList=["9" * 40], ClientIDList=["sts.amazonaws.com"])
        iam.create_role(RoleName="theirs-mlflow", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17"}))
        iam.put_role_policy(RoleName="theirs-mlflow", PolicyName="artifacts", PolicyDocument=ALLOW_NOTHING)
        s3.create_bucket(Bucket="theirs-mlflow", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="theirs-mlflow", Key="artifacts/model", Body=b"theirs")
        kms.create_alias(AliasName="alias/theirs-mlflow", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])

    def others(self) -> Any:
        iam, s3, kms = self.client("iam"), self.client("s3"), self.client("kms")
        return (
            iam.get_role(RoleName="theirs-mlflow")["Role"]["Arn"],
            iam.list_role_policies(RoleName="theirs-mlflow")["PolicyNames"],
            s3.get_object(Bucket="theirs-mlflow", Key="artifacts/model")["Body"].read(),
            kms.describe_key(KeyId="alias/theirs-mlflow")["KeyMetadata"]["KeyState"],
            iam.list_open_id_connect_providers()["OpenIDConnectProviderList"],
        )

    def fault(self, kind: str, request: Request) -> Response:
        status, code = {
            "throttled": (400, "ThrottlingException"),
            "broken": (500, "InternalError"),
            "conflict": (409, "OperationAborted"),
        }[kind]
        return aws.error_for(request, status, code)

    def denial(self, action: str, request: Request) -> Response:
        code = "AccessDeniedException" if action.startswith("kms") else "AccessDenied"
        return aws.error_for(request, 400 if action.startswith("kms") else 403, code, "Access Denied")

    def drifts(self) -> dict[str, Callable[[], Any]]:
        s3, iam, kms = self.client("s3"), self.client("iam"), self.client("kms")
        alias = f"alias/{NAME}"
        return {
            "versioning": lambda: s3.put_bucket_versioning(
                Bucket=NAME, VersioningConfiguration={"Status": "Suspended"}
            ),
            "encryption": lambda: s3.delete_bucket_encryption(Bucket=NAME),
            "public_access": lambda: s3.delete_public_access_block(Bucket=NAME),
            "ownership": lambda: s3.put_bucket_ownership_controls(
                Bucket=NAME, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
            ),
            "policy": lambda: s3.delete_bucket_policy(Bucket=NAME),
            "tags": lambda: s3.delete_bucket_tagging(Bucket=NAME),
            "trust": lambda: iam.update_assume_role_policy(
                RoleName=NAME,
                PolicyDocument=json.dumps(policies.irsa_trust(f"arn:aws:iam::{ACCOUNT}:oidc-provider/x", "*")),
            ),
            "rotation": lambda: kms.disable_key_rotation(KeyId=kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]),
            "usable": lambda: kms.disable_key(KeyId=kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]),
        }

    def store(self) -> None:
        s3 = self.client("s3")
        for content in (b"1", b"2"):
            s3.put_object(Bucket=NAME, Key="artifacts/a b+c/ü", Body=content)
        s3.delete_object(Bucket=NAME, Key="artifacts/a b+c/ü")
        s3.create_multipart_upload(Bucket=NAME, Key="artifacts/half")

    def has_data(self) -> bool:
        s3 = self.client("s3")
        if NAME not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
            return False
        return len(s3.list_object_versions(Bucket=NAME)["Versions"]) == 2

    def duplicates(self) -> int:
        kms = self.client("kms")
        states = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] for key in kms.list_keys()["Keys"]]
        return len(states) - 2


ALLOW_NOTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})


def keep_session(patch: pytest.MonkeyPatch) -> None:
    """Let all sessions of boto3 share what they read from its files; credentials stay each session's own."""
    loader = botocore.loaders.create_loader()
    make = botocore.session.Session

    def session(*args: Any, **kwargs: Any) -> Any:
        made = make(*args, **kwargs)
        made.register_component("data_loader", loader)
        return made

    patch.setattr(botocore.session, "Session", session)
    patch.setattr(botocore.session, "get_session", session)
