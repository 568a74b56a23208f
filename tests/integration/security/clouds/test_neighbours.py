"""What other people keep within our storage and identity stays, with all that holds it, and the result says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.aws import policies
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.errors import CloudError

from tests.integration.clouds import aws_lab as aws
from tests.integration.clouds import azure_lab as azure
from tests.integration.clouds import gcp_lab as gcp
from tests.integration.clouds.aws_lab import AwsLab
from tests.integration.clouds.azure_lab import AzureLab
from tests.integration.clouds.gcp_lab import GcpLab
from tests.integration.clouds.lab import Denied, Lab
from tests.simulators.gcp import Policy
from tests.simulators.http import Request
from tests.simulators.proxy import Fault

DELETE: dict[str, Any] = {"state": "absent", "delete_data": True}
FILES, QUEUES, TABLES = "fileservices/default/shares", "queueservices/default/queues", "tableservices/default/tables"
CONTAINERS = "blobservices/default/containers"
DELETED: dict[str, Any] = {"deleted": True, "remainingRetentionDays": 6}


def removed(lab: Lab, **removal: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Remove, as a plan said before and nothing more; return the result and the reason for each thing that stays."""
    removal = {**DELETE, **removal}
    planned = lab.converge(check=True, **removal)
    assert lab.cloud.writes() == []
    done = lab.converge(**removal)
    assert (planned["changes"], planned["kept"]) == (done["changes"], done["kept"])
    again = lab.converge(**removal)
    assert (again["changed"], again["kept"]) == (False, done["kept"])
    return done, {each["kind"]: each["reason"] for each in done["kept"]}


def in_own_group(lab: AzureLab) -> None:
    """Deploy into a resource group that we made, with nothing of others in it yet."""
    for path in [path for path in lab.arm.resources if path == azure.GROUP or "/theirs" in path]:
        del lab.arm.resources[path]
    lab.converge(location="westeurope")
    lab.store()


@pytest.mark.parametrize(
    ("child", "properties", "named"),
    [
        (f"{CONTAINERS}/theirs", {}, "blob container theirs"),
        (f"{FILES}/theirs", {}, "file share theirs"),
        (f"{QUEUES}/theirs", {}, "queue theirs"),
        (f"{TABLES}/theirs", {}, "table theirs"),
        (f"{CONTAINERS}/theirs", DELETED, "deleted blob container theirs"),
        (f"{FILES}/theirs", DELETED, "deleted file share theirs"),
    ],
    ids=["container", "share", "queue", "table", "deleted container", "deleted share"],
)
def test_an_account_with_anything_of_others_stays_with_its_group(
    azure_lab: AzureLab, child: str, properties: dict[str, Any], named: str
) -> None:
    in_own_group(azure_lab)
    theirs = f"{azure.ACCOUNT}/{child}"
    azure_lab.arm.resources[theirs] = {"id": theirs, "name": "theirs", "properties": properties}
    _, kept = removed(azure_lab)
    assert {azure.GROUP, azure.ACCOUNT, theirs} <= set(azure_lab.arm.resources)
    assert azure.CONTAINER not in azure_lab.arm.resources
    account = f"Microsoft.Storage/storageAccounts/{azure.NAME}"
    assert kept == {"storage account": f"it also holds {named}", "resource group": f"it also holds {account}"}


@pytest.mark.parametrize("kind", ["microsoft.storage/storageaccounts", "microsoft.containerservice/managedclusters"])
def test_a_group_of_ours_with_any_other_resource_stays(azure_lab: AzureLab, kind: str) -> None:
    in_own_group(azure_lab)
    theirs = f"{azure.GROUP}/providers/{kind}/theirs"
    azure_lab.arm.resources[theirs] = {"id": theirs, "name": "theirs", "properties": {}}
    _, kept = removed(azure_lab)
    assert set(azure_lab.arm.resources) == {azure.GROUP, theirs}
    assert kept == {"resource group": f"it also holds {kind}/theirs"}


@pytest.mark.parametrize(
    ("field", "named"), [("hasLegalHold", "a legal hold"), ("hasImmutabilityPolicy", "an immutability policy")]
)
def test_a_container_that_somebody_protects_stays_with_all_around(azure_lab: AzureLab, field: str, named: str) -> None:
    in_own_group(azure_lab)
    azure_lab.arm.resources[azure.CONTAINER]["properties"][field] = True
    _, kept = removed(azure_lab)
    assert azure_lab.has_data()
    assert kept["blob container"] == f"{named} protects it"
    assert set(kept) == {"blob container", "storage account", "resource group"}


@pytest.mark.parametrize(
    ("field", "name", "named"),
    [
        ("blobs", "reports/q1.csv", "reports/"),
        ("blobs", "artifacts.zip", "artifacts.zip"),
        ("old blobs", "reports/q1.csv", "reports/"),
    ],
    ids=["folder", "look-alike", "deleted"],
)
def test_our_container_with_blobs_of_others_stays_with_all_around(
    azure_lab: AzureLab, field: str, name: str, named: str
) -> None:
    in_own_group(azure_lab)
    container = azure_lab.arm.resources[azure.CONTAINER]
    container[field] = {**container.get(field, {}), name: "theirs"}
    _, kept = removed(azure_lab)
    assert azure_lab.arm.resources[azure.CONTAINER][field][name] == "theirs"
    assert kept["blob container"] == f"it also holds {named}"
    assert set(kept) == {"blob container", "storage account", "resource group"}


def test_a_container_that_cannot_be_seen_from_here_stays(azure_lab: AzureLab) -> None:
    in_own_group(azure_lab)
    azure_lab.converge(network_rules={"default_action": "Deny"})
    _, kept = removed(azure_lab)
    assert azure_lab.has_data()
    assert "the network rules do not let this machine in" in kept["blob container"]


@pytest.mark.parametrize("removal", [{}, {"delete_data": False}], ids=["with data", "without data"])
def test_an_identity_that_others_use_stays_without_our_right(azure_lab: AzureLab, removal: dict[str, Any]) -> None:
    in_own_group(azure_lab)
    credential = f"{azure.IDENTITY}/federatedidentitycredentials/theirs"
    theirs = {"issuer": azure.ISSUER, "subject": "system:serviceaccount:other:app", "audiences": ["theirs"]}
    azure_lab.arm.resources[credential] = {"name": "theirs", "properties": theirs}
    done = azure_lab.converge(state="absent", **removal)
    assert {azure.IDENTITY, credential} <= set(azure_lab.arm.resources)
    reasons = {each["kind"]: each.get("reason") for each in done["kept"]}
    assert reasons["managed identity"] == "it also holds federated credential theirs"
    assert [path for path in azure_lab.arm.resources if "roleassignments" in path] == []
    with pytest.raises(Denied):
        azure_lab.use("dev", "nebari-mlflow")


def test_an_identity_with_a_right_elsewhere_stays(azure_lab: AzureLab) -> None:
    azure_lab.converge()
    principal = azure_lab.arm.resources[azure.IDENTITY]["properties"]["principalId"]
    theirs = f"{azure.THEIRS}/providers/microsoft.authorization/roleassignments/2"
    properties = {"principalId": principal, "roleDefinitionId": "r", "scope": azure.THEIRS}
    azure_lab.arm.resources[theirs] = {"id": theirs, "properties": properties}
    _, kept = removed(azure_lab)
    assert {azure.IDENTITY, theirs} <= set(azure_lab.arm.resources)
    assert kept["managed identity"] == f"it also holds role assignment on {azure.THEIRS}"


def test_an_adopted_azure_account_is_never_deleted(azure_lab: AzureLab) -> None:
    azure_lab.converge(adopt="theirs", replication="")
    container = f"{azure.THEIRS}/{CONTAINERS}/nebari-mlflow"
    _, kept = removed(azure_lab, adopt="theirs")
    assert {azure.THEIRS, container} <= set(azure_lab.arm.resources)
    assert kept["storage account"] == "it was adopted, not created by this deployment"


def put(lab: AwsLab, key: str) -> None:
    lab.client("s3").put_object(Bucket=aws.NAME, Key=key, Body=b"theirs")


def put_and_delete(lab: AwsLab, key: str) -> None:
    put(lab, key)
    lab.client("s3").delete_object(Bucket=aws.NAME, Key=key)


def begin_upload(lab: AwsLab, key: str) -> None:
    lab.client("s3").create_multipart_upload(Bucket=aws.NAME, Key=key)


@pytest.mark.parametrize(
    ("store", "key", "named"),
    [
        (put, "reports/q1.csv", "reports/"),
        (put, "artifacts.zip", "artifacts.zip"),
        (put_and_delete, "old.csv", "old.csv"),
        (begin_upload, "big.bin", "the unfinished upload big.bin"),
    ],
    ids=["folder", "look-alike", "old version", "upload"],
)
def test_s3_bucket_with_foreign_objects_stays_with_its_key(
    aws_lab: AwsLab, store: Callable[[AwsLab, str], None], key: str, named: str
) -> None:
    aws_lab.converge()
    aws_lab.store()
    store(aws_lab, key)
    _, kept = removed(aws_lab)
    s3, kms = aws_lab.client("s3"), aws_lab.client("kms")
    versions = s3.list_object_versions(Bucket=aws.NAME)
    uploads = s3.list_multipart_uploads(Bucket=aws.NAME).get("Uploads", [])
    left = {each["Key"] for each in [*versions.get("Versions", []), *versions.get("DeleteMarkers", []), *uploads]}
    assert left == {key}
    assert kept["S3 bucket"] == f"it also holds {named}"
    assert kept["KMS key"] == f"S3 bucket {aws.NAME}, which stays, needs it"
    assert kms.describe_key(KeyId=f"alias/{aws.NAME}")["KeyMetadata"]["KeyState"] == "Enabled"


def add_alias(lab: AwsLab, key: str) -> str:
    lab.client("kms").create_alias(AliasName="alias/prod-db", TargetKeyId=key)
    return "alias/prod-db"


def add_grant(lab: AwsLab, key: str) -> str:
    principal = f"arn:aws:iam::{aws.ACCOUNT}:role/theirs-mlflow"
    made = lab.client("kms").create_grant(KeyId=key, GranteePrincipal=principal, Operations=["Decrypt"])
    return f"grant {made['GrantId']}"


def add_statement(lab: AwsLab, key: str) -> str:
    kms = lab.client("kms")
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    theirs = {"Sid": "Backup", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}}
    policy["Statement"].append({**theirs, "Action": "kms:Decrypt", "Resource": "*"})
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    return "the key policy's statement Backup"


@pytest.mark.parametrize("use", [add_alias, add_grant, add_statement])
def test_a_kms_key_that_others_use_stays(aws_lab: AwsLab, use: Callable[[AwsLab, str], str]) -> None:
    aws_lab.converge()
    kms = aws_lab.client("kms")
    key = kms.describe_key(KeyId=f"alias/{aws.NAME}")["KeyMetadata"]["KeyId"]
    named = use(aws_lab, key)
    _, kept = removed(aws_lab)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    assert kept == {"KMS key": f"it also holds {named}"}


@pytest.mark.parametrize("removal", [{}, {"delete_data": False}], ids=["with data", "without data"])
def test_a_role_with_policies_of_others_stays_without_ours(aws_lab: AwsLab, removal: dict[str, Any]) -> None:
    aws_lab.converge()
    iam = aws_lab.client("iam")
    theirs = json.dumps(policies.access("arn:aws:s3:::theirs", "", ""))
    iam.put_role_policy(RoleName=aws.NAME, PolicyName="theirs", PolicyDocument=theirs)
    made = iam.create_policy(PolicyName="audit", PolicyDocument=theirs)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=aws.NAME, PolicyArn=made)
    done = aws_lab.converge(state="absent", **removal)
    assert iam.list_role_policies(RoleName=aws.NAME)["PolicyNames"] == ["theirs"]
    reasons = {each["kind"]: each.get("reason") for each in done["kept"]}
    assert reasons["IAM role"] == "it also holds policy theirs, policy audit"
    assert not aws_lab.converge(state="absent", **removal)["changed"]
    aws_lab.converge()
    aws_lab.use("dev", "nebari-mlflow")


def test_a_boundary_that_somebody_set_on_the_role_stays(aws_lab: AwsLab) -> None:
    aws_lab.converge()
    theirs = f"arn:aws:iam::{aws.ACCOUNT}:policy/company-boundary"
    iam = aws_lab.client("iam")
    iam.put_role_permissions_boundary(RoleName=aws.NAME, PermissionsBoundary=theirs)
    assert not aws_lab.converge()["changed"]
    role = iam.get_role(RoleName=aws.NAME)["Role"]
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == theirs


@pytest.mark.parametrize("tags", [{}, {"nebari-mlflow-owner": "other-0a1b2c3d"}], ids=["unmarked", "theirs"])
def test_pod_identity_of_another_role_is_not_taken_over(aws_lab: AwsLab, tags: dict[str, str]) -> None:
    theirs = {
        "clusterName": aws.CLUSTER, "namespace": "dev", "serviceAccount": "nebari-mlflow", "associationId": "a-0",
        "associationArn": "a", "roleArn": f"arn:aws:iam::{aws.ACCOUNT}:role/theirs-mlflow", "tags": tags,
    }  # fmt: skip
    aws_lab.moto.eks.associations["a-0"] = dict(theirs)
    pods: dict[str, Any] = {"identity": "pod_identity", "cluster_name": aws.CLUSTER}
    for check in (True, False):
        with pytest.raises(CloudError, match="Pod Identity association demo/dev/nebari-mlflow exists and belongs to"):
            aws_lab.converge(check, **pods)
        assert aws_lab.cloud.writes() == []
    aws_lab.converge(**pods, state="absent")
    assert aws_lab.moto.eks.associations["a-0"] == theirs


def test_s3_calls_name_the_expected_bucket_owner(aws_lab: AwsLab) -> None:
    """So that a bucket of our name in another account is never read, written or deleted, even if it lets us in."""
    unnamed: list[str] = []
    seen: set[str] = set()

    def watch(request: Request) -> bool:
        action = aws_lab.cloud.name(request)[0]
        if action.startswith("s3:"):
            seen.add(action)
            if request.headers.get("X-Amz-Expected-Bucket-Owner") != aws.ACCOUNT:
                unnamed.append(action)
        return False

    for removal in (DELETE, {"state": "absent"}):
        aws_lab.reset()
        aws_lab.cloud.faults.append(Fault(watch, "before"))
        aws_lab.converge()
        for spoil in aws_lab.drifts().values():
            spoil()
        aws_lab.converge()
        aws_lab.store()
        aws_lab.converge(**removal)
    assert len(seen) > 15
    assert set(unnamed) == {"s3:CreateBucket"}  # which fails if anybody has the name


def test_an_adopted_s3_bucket_is_never_deleted(aws_lab: AwsLab) -> None:
    aws_lab.converge(adopt="theirs-mlflow")
    before = aws_lab.others()
    _, kept = removed(aws_lab, adopt="theirs-mlflow")
    assert aws_lab.others() == before
    assert kept["S3 bucket"] == "it was adopted, not created by this deployment"


@pytest.mark.parametrize("key", ["reports/q1.csv", "artifacts.zip"])
def test_a_gcs_bucket_with_objects_of_others_stays(gcp_lab: GcpLab, key: str) -> None:
    gcp_lab.converge()
    gcp_lab.store()
    gcp_lab.google.objects[gcp.NAME].append((key, 3))
    _, kept = removed(gcp_lab)
    assert gcp_lab.google.objects[gcp.NAME] == [(key, 3)]
    assert kept == {"bucket": f"it also holds {key.partition('/')[0]}{'/' if '/' in key else ''}"}
    roles = [each["role"] for each in gcp_lab.google.policies[gcp.NAME].bindings]
    assert "roles/storage.objectUser" not in roles


def test_a_gcs_bucket_with_a_retention_policy_stays(gcp_lab: GcpLab) -> None:
    gcp_lab.converge()
    gcp_lab.store()
    gcp_lab.google.buckets[gcp.NAME]["retentionPolicy"] = {"retentionPeriod": "86400"}
    _, kept = removed(gcp_lab)
    assert gcp_lab.has_data()
    assert kept == {"bucket": "a retention policy protects its objects"}


def test_an_adopted_gcs_bucket_is_never_deleted(gcp_lab: GcpLab) -> None:
    gcp_lab.converge(adopt="theirs", region="US")
    before = gcp_lab.google.objects["theirs"][:]
    _, kept = removed(gcp_lab, adopt="theirs", region="US")
    assert gcp_lab.google.objects["theirs"] == before
    assert kept == {"bucket": "it was adopted, not created by this deployment"}


def give_key(lab: GcpLab) -> str:
    lab.google.service_keys[gcp.EMAIL] = ["0123abcd"]
    return "key 0123abcd"


def give_member(lab: GcpLab) -> str:
    binding = {"role": "roles/iam.serviceAccountUser", "members": ["user:a@example.org"]}
    lab.google.policies[gcp.EMAIL].bindings.append(binding)
    return "user:a@example.org as roles/iam.serviceAccountUser"


@pytest.mark.parametrize("give", [give_key, give_member])
@pytest.mark.parametrize("removal", [{}, {"delete_data": False}], ids=["with data", "without data"])
def test_a_service_account_that_others_use_stays_without_our_member(
    gcp_lab: GcpLab, give: Callable[[GcpLab], str], removal: dict[str, Any]
) -> None:
    gcp_lab.converge()
    named = give(gcp_lab)
    done = gcp_lab.converge(state="absent", **removal)
    assert gcp.EMAIL in gcp_lab.google.accounts
    reasons = {each["kind"]: each.get("reason") for each in done["kept"]}
    assert reasons["service account"] == f"it also holds {named}"
    assert "roles/iam.workloadIdentityUser" not in [e["role"] for e in gcp_lab.google.policies[gcp.EMAIL].bindings]
    assert not gcp_lab.converge(state="absent", **removal)["changed"]


@pytest.mark.parametrize("labels", [[], ["nebari-mlflow-owner"]], ids=["without our label", "with our label"])
@pytest.mark.parametrize("wanted", [{}, {"state": "absent"}, DELETE], ids=["deploy", "remove", "delete"])
def test_a_bucket_of_our_name_in_another_project_is_refused(
    gcp_lab: GcpLab, labels: list[str], wanted: dict[str, Any]
) -> None:
    """Anybody can guess the name, write our label, and let us in."""
    gcp_lab.converge()
    ours = gcp_lab.google.buckets[gcp.NAME]["labels"]["nebari-mlflow-owner"]
    bucket = {"projectNumber": "42", "location": gcp.REGION.upper(), "labels": dict.fromkeys(labels, ours)}
    gcp_lab.google.buckets[gcp.NAME] = bucket
    gcp_lab.google.policies[gcp.NAME] = Policy()
    gcp_lab.google.shared.add(gcp.NAME)
    gcp_lab.store()
    for check in (True, False):
        with pytest.raises(CloudError, match=r"is in the Google Cloud project number 42, not in our-project-123") as no:
            gcp_lab.converge(check, **wanted)
        assert "Use another project name" in no.value.fix
        assert gcp_lab.cloud.writes() == []
    assert (gcp_lab.google.buckets[gcp.NAME], gcp_lab.has_data()) == (bucket, True)


def test_a_bucket_that_another_project_took_meanwhile_is_refused(gcp_lab: GcpLab) -> None:
    """Between our look and our creation, with our label on it."""
    gcp_lab.converge()
    theirs = {**gcp_lab.google.buckets.pop(gcp.NAME), "projectNumber": "42"}

    def take() -> None:
        gcp_lab.google.buckets[gcp.NAME] = theirs
        gcp_lab.google.shared.add(gcp.NAME)

    gcp_lab.before("storage.buckets.create", take)
    with pytest.raises(CloudError, match=f"bucket {gcp.NAME} cannot be created"):
        gcp_lab.converge()
    assert gcp_lab.google.buckets[gcp.NAME] == theirs
