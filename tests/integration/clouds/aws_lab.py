"""AWS, simulated by moto."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import boto3
import botocore.exceptions
import botocore.loaders
import botocore.session
import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.aws import policies
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud import naming
from botocore.config import Config

from tests.simulators import aws
from tests.simulators.http import Request, Response
from tests.simulators.proxy import Proxy

from .lab import NAMESPACE, PROJECT, Denied, Lab, projected_token

ACCOUNT, REGION = "123456789012", "eu-west-1"
CLUSTER = "demo"
ISSUER = f"https://oidc.eks.{REGION}.amazonaws.com/id/0123456789ABCDEF"
NAME = naming.bucket_name(PROJECT, NAMESPACE, ACCOUNT)


class AwsLab(Lab):
    provider = "aws"
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
        self.moto.clear()
        self.moto.rules.lag = 2
        self.moto.eks.clusters.add(CLUSTER)
        self.cloud.clear()
        iam, s3, kms = self.client("iam"), self.client("s3"), self.client("kms")
        iam.create_open_id_connect_provider(Url=ISSUER, ThumbprintList=["9" * 40], ClientIDList=["sts.amazonaws.com"])
        iam.create_role(
            RoleName="theirs-mlflow", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []})
        )
        iam.put_role_policy(RoleName="theirs-mlflow", PolicyName="artifacts", PolicyDocument=ALLOW_NOTHING)
        s3.create_bucket(Bucket="theirs-mlflow", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="theirs-mlflow", Key="artifacts/model", Body=b"theirs")
        kms.create_alias(AliasName="alias/theirs-mlflow", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])

    def handed_over(self) -> dict[str, Any]:
        return {
            "uri": f"s3://{NAME}/artifacts",
            "env": {"AWS_DEFAULT_REGION": REGION},
            "secret": "",
            "service_account_annotations": {"eks.amazonaws.com/role-arn": f"arn:aws:iam::{ACCOUNT}:role/{NAME}"},
            "pod_labels": {},
            "volume": {},
            "network": {"metadata": []},
        }

    def slow(self, seconds: float) -> None:
        self.moto.rules.settle = seconds

    def use(self, namespace: str, account: str, issuer: str = ISSUER) -> None:
        """As the client library of AWS does in a pod.

        https://docs.aws.amazon.com/eks/latest/userguide/pod-configuration.html and
        https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
        """
        role = self.storage["service_account_annotations"].get("eks.amazonaws.com/role-arn")
        if role:
            token = projected_token(issuer, namespace, account, "sts.amazonaws.com")
            fields = {"RoleArn": role, "RoleSessionName": "pod", "WebIdentityToken": token, "Version": "2011-06-15"}
            action = {"Action": "AssumeRoleWithWebIdentity"}
            got = self.send("POST", f"https://sts.{REGION}.amazonaws.com/", data={**action, **fields}).text
            keys = [re.findall(f"<{key}>(.+?)</", got)[0] for key in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
        else:
            token = projected_token(issuer, namespace, account, "pods.eks.amazonaws.com")
            url = f"https://eks-auth.{REGION}.api.aws/clusters/{CLUSTER}/assume-role-for-pod-identity"
            given = self.send("POST", url, json={"token": token}).json()["credentials"]
            keys = [given[key] for key in ("accessKeyId", "secretAccessKey", "sessionToken")]
        config = Config(proxies={"https": self.proxy.url}, retries={"total_max_attempts": 1})
        s3 = boto3.client("s3", REGION, None, True, str(self.proxy.authority.bundle), None, *keys, config=config)
        bucket, _, prefix = self.storage["uri"].removeprefix("s3://").partition("/")
        where = {"Bucket": bucket, "Key": f"{prefix}/a b".lstrip("/")}
        self.moto.post("/moto-api/reset-auth", b"0")
        try:
            s3.put_object(**where, Body=b"data")
            assert s3.get_object(**where)["Body"].read() == b"data"
            s3.delete_object(**where)
        except botocore.exceptions.ClientError as error:
            raise Denied(str(error)) from error
        finally:
            self.moto.post("/moto-api/reset-auth", b"inf")

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

    def owned(self) -> dict[str, Callable[[str], Any]]:
        s3, iam, kms = self.client("s3"), self.client("iam"), self.client("kms")
        mark = "nebari-mlflow-owner"

        def mark_key(owner: str) -> None:
            key = kms.describe_key(KeyId=f"alias/{NAME}")["KeyMetadata"]["KeyId"]
            kms.tag_resource(KeyId=key, Tags=[{"TagKey": mark, "TagValue": owner}])

        return {
            "bucket": lambda owner: s3.put_bucket_tagging(
                Bucket=NAME, Tagging={"TagSet": [{"Key": mark, "Value": owner}]}
            ),
            "role": lambda owner: iam.tag_role(RoleName=NAME, Tags=[{"Key": mark, "Value": owner}]),
            "key": mark_key,
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
        return len(s3.list_object_versions(Bucket=NAME).get("Versions", [])) == 2

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
