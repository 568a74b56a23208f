"""What only AWS has."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.aws import policies
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.errors import CloudError
from moto.s3.models import FakeKey, s3_backends

from tests.simulators import aws
from tests.simulators.proxy import Fault

from .aws_lab import ACCOUNT, CLUSTER, ISSUER, NAME, REGION, AwsLab
from .lab import NAMESPACE, Denied

PAGE = Path(__file__).parents[3] / "docs/how-to/aws.md"
# moto has no name for reading encryption, ownership and public access, and takes them for listing.
MOTO_SAYS = {"s3:GetEncryptionConfiguration": "s3:ListBucket"}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/{NAME}"


def documented() -> dict[str, Any]:
    text = re.findall("```json\n(.*?)```", PAGE.read_text(), re.S)[0]
    policy: dict[str, Any] = json.loads(text.replace("demo-mlflow-????????", "my-demo-mlflow-*"))  # moto has no ?
    return policy


def actions(statement: dict[str, Any]) -> list[str]:
    found: str | list[str] = statement["Action"]
    return [found] if isinstance(found, str) else found


def client(lab: AwsLab, service: str, credentials: dict[str, str]) -> Any:
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=lab.moto.url,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials.get("SessionToken"),
    )


def test_the_documented_policy_is_enough(aws_lab: AwsLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto itself decides, by the policy that the page shows; it knows the resources of S3 only, and no conditions.

    Those are tested in tests/integration/security/clouds.
    """
    policy = documented()
    for statement in policy["Statement"]:
        if not str(statement["Resource"]).startswith("arn:aws:s3:"):
            statement["Resource"] = "*"
        statement["Action"] = [MOTO_SAYS.get(each, each) for each in actions(statement)]
    iam = aws_lab.client("iam")
    iam.create_user(UserName="deployer")
    iam.put_user_policy(UserName="deployer", PolicyName="documented", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="deployer")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    aws_lab.moto.post("/moto-api/reset-auth", b"0")
    try:
        aws_lab.converge()
        assert not aws_lab.converge()["changed"]
        aws_lab.converge(state="absent", delete_data=True)
    finally:
        aws_lab.moto.post("/moto-api/reset-auth", b"inf")


def test_every_call_is_documented(aws_lab: AwsLab) -> None:
    allowed = {action for statement in documented()["Statement"] for action in actions(statement)}
    used: set[str] = set()
    bound = f"arn:aws:iam::{ACCOUNT}:policy/bound"
    aws_lab.converge(permissions_boundary=bound)
    used |= {call.action for call in aws_lab.cloud.calls}
    for spoil in aws_lab.drifts().values():
        spoil()
    aws_lab.converge(permissions_boundary=bound)
    used |= {call.action for call in aws_lab.cloud.calls}
    aws_lab.converge(identity="pod_identity", cluster_name="demo", permissions_boundary=bound)
    used |= {call.action for call in aws_lab.cloud.calls}
    aws_lab.store()
    aws_lab.converge(identity="pod_identity", cluster_name="demo", state="absent", delete_data=True)
    used |= {call.action for call in aws_lab.cloud.calls}
    assert used - allowed == {"sts:GetCallerIdentity"}
    unseen = {"iam:PassRole", "kms:CancelKeyDeletion", "kms:TagResource", "eks:TagResource",
              "s3:DeleteObject", "eks:UpdatePodIdentityAssociation", "iam:TagRole"}  # fmt: skip
    assert allowed - used <= unseen


def test_the_role_reads_and_writes_its_prefix_and_nothing_else(aws_lab: AwsLab) -> None:
    aws_lab.converge()
    sts = aws_lab.client("sts")
    taken = sts.assume_role_with_web_identity(RoleArn=ROLE, RoleSessionName="pod", WebIdentityToken="a.b.c")
    s3 = client(aws_lab, "s3", taken["Credentials"])
    aws_lab.moto.post("/moto-api/reset-auth", b"0")
    try:
        s3.put_object(Bucket=NAME, Key="artifacts/m", Body=b"x")
        upload = s3.create_multipart_upload(Bucket=NAME, Key="artifacts/big")["UploadId"]
        s3.upload_part(Bucket=NAME, Key="artifacts/big", UploadId=upload, PartNumber=1, Body=b"x")
        s3.abort_multipart_upload(Bucket=NAME, Key="artifacts/big", UploadId=upload)
        assert s3.get_object(Bucket=NAME, Key="artifacts/m")["Body"].read() == b"x"
        assert s3.list_objects_v2(Bucket=NAME, Prefix="artifacts/")["KeyCount"] == 1
        s3.delete_object(Bucket=NAME, Key="artifacts/m")
        attempts: list[Callable[[], Any]] = [
            lambda: s3.put_object(Bucket=NAME, Key="elsewhere", Body=b"x"),
            lambda: s3.get_object(Bucket="theirs-mlflow", Key="artifacts/model"),
            lambda: s3.delete_bucket(Bucket=NAME),
            lambda: s3.list_buckets(),
        ]
        for refused in attempts:
            with pytest.raises(botocore.exceptions.ClientError, match=r"AccessDenied|403|Forbidden"):
                refused()
    finally:
        aws_lab.moto.post("/moto-api/reset-auth", b"inf")


def test_the_role_may_use_the_key_that_encrypts(aws_lab: AwsLab) -> None:
    """Without these two every upload to an encrypted bucket is refused."""
    aws_lab.converge()
    policy = aws_lab.client("iam").get_role_policy(RoleName=NAME, PolicyName="artifacts")["PolicyDocument"]
    key = aws_lab.client("kms").describe_key(KeyId=f"alias/{NAME}")["KeyMetadata"]["Arn"]
    statement = next(each for each in policy["Statement"] if each["Sid"] == "UseKey")
    assert (set(statement["Action"]), statement["Resource"]) == ({"kms:Decrypt", "kms:GenerateDataKey"}, key)


def test_the_trust_names_one_service_account_and_one_audience(aws_lab: AwsLab) -> None:
    aws_lab.converge(oidc_issuer_url=f"{ISSUER}/")
    trust = aws_lab.client("iam").get_role(RoleName=NAME)["Role"]["AssumeRolePolicyDocument"]
    issuer = ISSUER.removeprefix("https://")
    assert trust["Statement"][0]["Condition"] == {
        "StringEquals": {
            f"{issuer}:sub": "system:serviceaccount:dev:nebari-mlflow",
            f"{issuer}:aud": "sts.amazonaws.com",
        }
    }


def test_what_others_set_on_our_objects_stays(aws_lab: AwsLab) -> None:
    aws_lab.converge()
    s3, iam = aws_lab.client("s3"), aws_lab.client("iam")
    theirs = {"Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
              "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{NAME}"}  # fmt: skip
    s3.put_bucket_policy(Bucket=NAME, Policy=json.dumps({"Version": policies.VERSION, "Statement": [theirs]}))
    tags = s3.get_bucket_tagging(Bucket=NAME)["TagSet"][1:]
    s3.put_bucket_tagging(Bucket=NAME, Tagging={"TagSet": [*tags, {"Key": "cost-centre", "Value": "7"}]})
    rule = {"ID": "t", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}
    s3.put_bucket_lifecycle_configuration(Bucket=NAME, LifecycleConfiguration={"Rules": [rule]})
    iam.put_role_policy(RoleName=NAME, PolicyName="theirs", PolicyDocument=json.dumps(documented()))
    assert [change["fields"] for change in aws_lab.converge()["changes"]] == [["policy", "tags"]]
    statements = json.loads(s3.get_bucket_policy(Bucket=NAME)["Policy"])["Statement"]
    assert statements[0] == theirs
    assert [each["Sid"] for each in statements] == ["Theirs", policies.TLS_ONLY]
    assert {"Key": "cost-centre", "Value": "7"} in s3.get_bucket_tagging(Bucket=NAME)["TagSet"]
    assert s3.get_bucket_lifecycle_configuration(Bucket=NAME)["Rules"][0]["ID"] == "t"
    assert "theirs" in iam.list_role_policies(RoleName=NAME)["PolicyNames"]


@pytest.mark.parametrize("with_key", [True, False])
def test_a_bucket_of_nebari_mlflow_plugin_is_gone_on_with(aws_lab: AwsLab, with_key: bool) -> None:
    """Its artifacts are at the root, and encrypted with a key of its own that the role needs to read them."""
    peers = "my-demo-mlflow-artifacts-1a2b"
    s3, kms = aws_lab.client("s3"), aws_lab.client("kms")
    s3.create_bucket(Bucket=peers, CreateBucketConfiguration={"LocationConstraint": REGION})
    key = kms.create_key()["KeyMetadata"]
    if with_key:
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key["KeyId"]}
        rules = [{"ApplyServerSideEncryptionByDefault": default}]
        s3.put_bucket_encryption(Bucket=peers, ServerSideEncryptionConfiguration={"Rules": rules})
    s3.put_object(Bucket=peers, Key="1/run/artifacts/model", Body=b"old")
    assert aws_lab.converge(adopt=peers)["storage"]["uri"] == f"s3://{peers}"
    assert not aws_lab.converge(adopt=peers)["changed"]
    assert NAME not in [each["Name"] for each in s3.list_buckets()["Buckets"]]
    policy = aws_lab.client("iam").get_role_policy(RoleName=NAME, PolicyName="artifacts")["PolicyDocument"]
    usable = next(each["Resource"] for each in policy["Statement"] if each["Sid"] == "UseKey")
    assert (usable == key["Arn"]) is with_key
    aws_lab.use(NAMESPACE, "nebari-mlflow")
    taken = aws_lab.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="pod")["Credentials"]
    aws_lab.moto.post("/moto-api/reset-auth", b"0")
    try:
        old = client(aws_lab, "s3", taken).get_object(Bucket=peers, Key="1/run/artifacts/model")
        assert old["Body"].read() == b"old"
    finally:
        aws_lab.moto.post("/moto-api/reset-auth", b"inf")


def test_encryption_can_be_turned_off_without_losing_data(aws_lab: AwsLab) -> None:
    aws_lab.converge()
    aws_lab.converge(enable_s3_encryption=False)
    assert not aws_lab.converge(enable_s3_encryption=False)["changed"]
    rules = aws_lab.client("s3").get_bucket_encryption(Bucket=NAME)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    policy = aws_lab.client("iam").get_role_policy(RoleName=NAME, PolicyName="artifacts")["PolicyDocument"]
    assert "UseKey" in [each["Sid"] for each in policy["Statement"]]


def test_pod_identity_needs_no_annotation_and_no_issuer(aws_lab: AwsLab) -> None:
    pods: dict[str, Any] = {"identity": "pod_identity", "cluster_name": "demo", "oidc_issuer_url": ""}
    done = aws_lab.converge(**pods)
    assert done["storage"]["service_account_annotations"] == {}
    agent = [{"cidr": "169.254.170.23/32", "port": 80}, {"cidr": "fd00:ec2::23/128", "port": 80}]
    assert done["storage"]["network"] == {"metadata": agent}
    assert [each["roleArn"] for each in aws_lab.moto.eks.associations.values()] == [ROLE]
    assert not aws_lab.converge(**pods)["changed"]
    aws_lab.converge(state="absent", **pods)
    assert aws_lab.moto.eks.associations == {}


def test_only_pods_with_pod_identity_reach_the_data(aws_lab: AwsLab) -> None:
    aws_lab.converge(identity="pod_identity", cluster_name=CLUSTER)
    aws_lab.use(NAMESPACE, "nebari-mlflow")
    for namespace, account in (("other", "nebari-mlflow"), (NAMESPACE, "default")):
        with pytest.raises(Denied):
            aws_lab.use(namespace, account)


def test_missing_cluster_is_found_first_and_does_not_block_removal(aws_lab: AwsLab) -> None:
    for check in (True, False):
        with pytest.raises(CloudError, match="No cluster found for name: elsewhere") as missing:
            aws_lab.converge(check, identity="pod_identity", cluster_name="elsewhere")
        assert "aws eks list-clusters" in missing.value.fix
        assert aws_lab.cloud.writes() == []
    aws_lab.converge(identity="pod_identity", cluster_name=CLUSTER)
    aws_lab.moto.eks.clusters.clear()
    assert aws_lab.converge(identity="pod_identity", cluster_name=CLUSTER, state="absent")["changed"]
    assert NAME not in [role["RoleName"] for role in aws_lab.client("iam").list_roles()["Roles"]]


def test_another_accounts_bucket_is_named_and_nothing_is_created(aws_lab: AwsLab) -> None:
    aws_lab.moto.rules.taken.add(NAME)
    for check in (True, False):
        with pytest.raises(CloudError, match=NAME) as taken:
            aws_lab.converge(check)
        assert "use another project name" in taken.value.fix
        assert aws_lab.cloud.writes() == []


def test_bucket_with_thousands_of_versions_and_uploads_is_emptied(aws_lab: AwsLab) -> None:
    """AWS deletes at most 1000 in one call, and lists no more in one page."""
    aws_lab.converge()
    kept = s3_backends[ACCOUNT]["aws"].buckets[NAME]
    for number in range(2100):
        kept.keys.setlist(
            f"artifacts/{number}", [FakeKey(f"artifacts/{number}", b"", ACCOUNT, REGION, version_id=str(number))]
        )
    for number in range(3):
        aws_lab.client("s3").create_multipart_upload(Bucket=NAME, Key=f"artifacts/half-{number}")
    aws_lab.converge(state="absent", delete_data=True)
    deletions = [call for call in aws_lab.cloud.calls if call.action == "s3:DeleteObjectVersion"]
    assert len(deletions) == 3
    assert NAME not in [each["Name"] for each in aws_lab.client("s3").list_buckets()["Buckets"]]


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_bucket_is_created_in_its_region_and_found_elsewhere(aws_lab: AwsLab, region: str) -> None:
    """us-east-1 is the only region that must not be named."""
    other = {"us-east-1": "eu-west-1", "eu-west-1": "us-east-1"}[region]
    aws_lab.converge(region=region)
    assert not aws_lab.converge(region=region)["changed"]
    with pytest.raises(CloudError, match=f"is in {region}, not in {other}") as moved:
        aws_lab.converge(region=other)
    assert f"region={region} (mlflow_aws_region={region} in the playbooks)" in moved.value.fix
    with pytest.raises(CloudError, match=f"is in {region}, not in ap-south-1"):
        aws_lab.converge(region="ap-south-1")
    assert aws_lab.cloud.writes() == []


def test_bad_input_says_what_to_do(aws_lab: AwsLab, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CloudError, match="has no IAM OIDC provider for https://elsewhere") as missing:
        aws_lab.converge(oidc_issuer_url="https://elsewhere/id/1")
    assert "eksctl utils associate-iam-oidc-provider" in missing.value.fix
    assert aws_lab.cloud.writes() == []
    with pytest.raises(CloudError, match="did not answer in region 'eu-west-9'") as nowhere:
        aws_lab.converge(region="eu-west-9")
    assert "region (mlflow_aws_region in the playbooks) is a region of AWS" in nowhere.value.fix
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER.removeprefix('https://')}"
    iam = aws_lab.client("iam")
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider)
    iam.create_open_id_connect_provider(Url=ISSUER, ThumbprintList=["9" * 40], ClientIDList=["another"])
    with pytest.raises(CloudError, match=r"does not accept the audience sts\.amazonaws\.com") as audience:
        aws_lab.converge()
    assert "aws iam add-client-id-to-open-id-connect-provider" in audience.value.fix
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(CloudError, match="No complete AWS credentials were found"):
        aws_lab.converge()
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(CloudError, match=r"nobody.* could not be found"):
        aws_lab.converge()


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch"])
def test_credentials_that_are_refused_say_so(aws_lab: AwsLab, code: str) -> None:
    refusal = partial(aws.error_for, status=403, code=code, message="The security token is not good")
    aws_lab.cloud.faults.append(Fault(lambda _: True, refusal, times=10**6))
    with pytest.raises(CloudError, match=f"does not accept the credentials: {code}") as refused:
        aws_lab.converge()
    assert "AWS_PROFILE" in refused.value.fix


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"mlflow_aws_region": "moon"}, "not a region of AWS"),
        ({"mlflow_aws_oidc_issuer_url": "oidc.eks"}, "needs the cluster's issuer"),
        ({"mlflow_aws_identity": "pod_identity"}, "needs mlflow_aws_cluster_name"),
    ],
)
def test_bad_variables_are_refused_before_any_call(aws_lab: AwsLab, variables: dict[str, str], message: str) -> None:
    played = aws_lab.play(**variables)
    assert (played.code, aws_lab.cloud.calls) == (2, [])
    assert message in played.message
