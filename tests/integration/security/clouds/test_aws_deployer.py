"""The deployer's policy of docs/how-to/aws.md: enough for all that the module does, and no way to more."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.aws import policies
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.errors import CloudError

from tests.integration.clouds.aws_lab import ACCOUNT, CLUSTER, NAME, REGION, AwsLab
from tests.simulators.aws.evaluation import Need, allowed

from .page import documents

PLACEHOLDERS = {
    "111122223333": ACCOUNT,
    "eu-west-1": REGION,
    "demo-mlflow-????????": "my-demo-mlflow-????????",
    '"demo-????????"': '"my-demo-????????"',
    "cluster/demo": f"cluster/{CLUSTER}",
}
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/nebari-mlflow-boundary"
OWNER = "nebari-mlflow-owner"
MINE = {f"aws:ResourceTag/{OWNER}": "my-demo-0a1b2c3d"}
MARKED = {f"aws:RequestTag/{OWNER}": "my-demo-0a1b2c3d"}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
PODS: dict[str, Any] = {"identity": "pod_identity", "cluster_name": CLUSTER}
THEIR_ASSOCIATION = f"arn:aws:eks:{REGION}:{ACCOUNT}:podidentityassociation/{CLUSTER}/a-1"


def deployer() -> dict[str, Any]:
    policy: dict[str, Any] = documents("aws.md", PLACEHOLDERS)[0]
    return policy


@pytest.mark.parametrize("identity", [{}, PODS], ids=["irsa", "pod identity"])
def test_the_printed_aws_policy_allows_all_that_we_do(aws_lab: AwsLab, identity: dict[str, Any]) -> None:
    aws_lab.moto.policy = deployer()
    wanted = {"permissions_boundary": BOUNDARY, **identity}
    aws_lab.converge(**wanted)
    assert not aws_lab.converge(**wanted)["changed"]
    for spoil in aws_lab.drifts().values():
        spoil()
    aws_lab.converge(**wanted)
    aws_lab.store()
    aws_lab.converge(**wanted, state="absent")
    aws_lab.converge(**wanted)
    aws_lab.converge(**wanted, state="absent", delete_data=True)
    assert not aws_lab.has_data()
    aws_lab.converge(**wanted)  # the key's deletion is cancelled, or a new one is made


def test_an_aws_role_without_the_boundary_is_refused(aws_lab: AwsLab) -> None:
    aws_lab.moto.policy = deployer()
    with pytest.raises(CloudError, match="iam:CreateRole is missing"):
        aws_lab.converge()
    with pytest.raises(CloudError, match="iam:CreateRole is missing"):
        aws_lab.converge(permissions_boundary=f"arn:aws:iam::{ACCOUNT}:policy/AdministratorAccess")


def test_the_aws_boundary_lets_the_server_work_and_nothing_more() -> None:
    boundary = documents("aws.md", PLACEHOLDERS)[1]
    for prefix in ("artifacts", ""):
        for statement in policies.access(f"arn:aws:s3:::{NAME}", prefix, KEY)["Statement"]:
            for action in [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]:
                assert allowed(boundary, Need(action, statement["Resource"], dict(MINE))), action
    for need in (
        Need("iam:CreateUser", "*"),
        Need("sts:AssumeRole", f"{ROLE}admin"),
        Need("s3:GetObject", "arn:aws:s3:::other-team-mlflow-prod/x"),
        Need("s3:PutBucketPolicy", f"arn:aws:s3:::{NAME}"),
        Need("kms:Decrypt", KEY),
        Need("kms:ScheduleKeyDeletion", KEY, dict(MINE)),
    ):
        assert not allowed(boundary, need), need


@pytest.mark.parametrize(
    "need",
    [
        Need("iam:CreateRole", f"{ROLE}my-demo-mlflow-0a1b2c3d"),
        Need("iam:CreateRole", f"{ROLE}my-demo-mlflow-0a1b2c3d", {"iam:PermissionsBoundary": f"{BOUNDARY}-2"}),
        Need("iam:CreateRole", f"{ROLE}x-mlflow-admin", {"iam:PermissionsBoundary": BOUNDARY}),
        Need("iam:PutRolePolicy", f"{ROLE}my-demo-mlflow-0a1b2c3d", dict(MINE)),
        Need("iam:PutRolePolicy", f"{ROLE}Admin", {"iam:PermissionsBoundary": BOUNDARY}),
        Need("iam:PutRolePolicy", f"{ROLE}my-demo-mlflow-admin", {"iam:PermissionsBoundary": BOUNDARY}),
        Need("iam:AttachRolePolicy", f"{ROLE}my-demo-mlflow-0a1b2c3d", {"iam:PermissionsBoundary": BOUNDARY}),
        Need("iam:DeleteRolePermissionsBoundary", f"{ROLE}my-demo-mlflow-0a1b2c3d", dict(MINE)),
        Need("iam:PutRolePermissionsBoundary", f"{ROLE}my-demo-mlflow-0a1b2c3d", {"iam:PermissionsBoundary": BOUNDARY}),
        Need("iam:CreatePolicyVersion", BOUNDARY),
        Need("iam:DeletePolicy", BOUNDARY),
        Need("iam:UpdateAssumeRolePolicy", f"{ROLE}my-demo-mlflow-0a1b2c3d"),
        Need("iam:UpdateAssumeRolePolicy", f"{ROLE}Admin", dict(MINE)),
        Need("iam:TagRole", f"{ROLE}Admin", dict(MARKED)),
        Need("iam:PassRole", f"{ROLE}my-demo-mlflow-0a1b2c3d", {"iam:PassedToService": "ec2.amazonaws.com"}),
        Need("iam:PassRole", f"{ROLE}my-demo-mlflow-0a1b2c3d", {"iam:PassedToService": "lambda.amazonaws.com"}),
        Need("iam:PassRole", f"{ROLE}Admin", {"iam:PassedToService": "pods.eks.amazonaws.com"}),
        Need("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/admin"),
        Need("iam:CreateRole", "arn:aws:iam::999999999999:role/my-demo-mlflow-0a1b2c3d", {
            "iam:PermissionsBoundary": BOUNDARY}),
        Need("sts:AssumeRole", f"{ROLE}Admin"),
        Need("eks:CreatePodIdentityAssociation", f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/production"),
        Need("eks:UpdatePodIdentityAssociation", THEIR_ASSOCIATION),
        Need("eks:DeletePodIdentityAssociation", THEIR_ASSOCIATION, {f"aws:ResourceTag/{OWNER}": "other-0a1b2c3d"}),
        Need("kms:ScheduleKeyDeletion", KEY, {"kms:ScheduleKeyDeletionPendingWindowInDays": "30"}),
        Need("kms:ScheduleKeyDeletion", KEY, {**MINE, "kms:ScheduleKeyDeletionPendingWindowInDays": "7"}),
        Need("kms:TagResource", KEY, {**MARKED, "kms:ResourceAliases": ["alias/prod-db"]}),
        Need("kms:TagResource", KEY, {f"aws:RequestTag/{OWNER}": "other-0a1b2c3d"}),
        Need("kms:CreateKey", "*"),
        Need("kms:PutKeyPolicy", KEY, dict(MINE)),
        Need("kms:CreateGrant", KEY, dict(MINE)),
        Need("kms:Decrypt", KEY, dict(MINE)),
        Need("kms:CreateAlias", KEY),
        Need("kms:DeleteAlias", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/prod-db"),
        Need("s3:DeleteObjectVersion", "arn:aws:s3:::other-team-mlflow-prod/x"),
        Need("s3:DeleteObjectVersion", f"arn:aws:s3:::{NAME}/reports/q1.csv"),
        Need("s3:GetObject", f"arn:aws:s3:::{NAME}/artifacts/model"),
        Need("s3:PutBucketPolicy", "arn:aws:s3:::my-demo-mlflow-artifacts-1a2b"),
    ],
    ids=lambda need: f"{need.action} {need.resource.rpartition(':')[2]}",
)  # fmt: skip
def test_no_way_from_the_printed_aws_policy_to_more(need: Need) -> None:
    assert not allowed(deployer(), need)


def test_page_names_what_the_aws_policy_still_allows() -> None:
    """Each of these is a sentence under "What a holder of these rights can do"."""
    policy = deployer()
    for need in (
        Need("s3:PutBucketPolicy", f"arn:aws:s3:::{NAME}"),
        Need("kms:TagResource", KEY, dict(MARKED)),
        Need("iam:UpdateAssumeRolePolicy", f"{ROLE}{NAME}", dict(MINE)),
        Need("kms:DescribeKey", KEY),
    ):
        assert allowed(policy, need), need


def test_new_key_is_waited_for_until_its_tags_count(aws_lab: AwsLab) -> None:
    """Tags may take five minutes to affect the authorization of a KMS key."""
    aws_lab.moto.policy = deployer()
    aws_lab.moto.late = 12
    told = aws_lab.proxy.authority.bundle.parent / "progress"
    aws_lab.converge(progress=told, permissions_boundary=BOUNDARY)
    waits = re.findall(r"waiting for kms:\w+ on .* \((\d+) s of at most 300 s\)", told.read_text())
    assert int(waits[-1]) > 60
    assert not aws_lab.converge(permissions_boundary=BOUNDARY)["changed"]
