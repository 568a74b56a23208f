"""The deployer's roles of docs/how-to/gcp.md: enough for all that the module does, and no way to more."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.errors import CloudError

from tests.integration.clouds.gcp_lab import CLOUD_PROJECT, EMAIL, NAME, THEIRS, GcpLab
from tests.simulators.gcp import Grant
from tests.simulators.gcp.grants import allowed

from .page import DOCS, blocks, documents

PLACEHOLDERS = {"demo-mlflow-": "my-demo-mlflow-"}
PROJECT = f"projects/{CLOUD_PROJECT}"
DIRECT: dict[str, Any] = {"direct_identity": True}


def deployer(with_accounts: bool = False) -> list[Grant]:
    """Return what the page's commands bind, in its order: the project's role, the buckets' with the condition, more."""
    project, buckets, condition, accounts = documents("gcp.md", PLACEHOLDERS)
    permissions = [frozenset(each["includedPermissions"]) for each in (project, buckets, accounts)]
    bound = [Grant(permissions[0]), Grant(permissions[1], condition["expression"]), Grant(permissions[2])]
    return bound if with_accounts else bound[:2]


@pytest.mark.parametrize("direct", [True, False])
def test_the_printed_google_roles_allow_all_that_we_do(gcp_lab: GcpLab, direct: bool) -> None:
    gcp_lab.google.grants = deployer(with_accounts=not direct)
    wanted: dict[str, Any] = {"direct_identity": direct}
    gcp_lab.converge(**wanted)
    assert not gcp_lab.converge(**wanted)["changed"]
    if not direct:
        for spoil in gcp_lab.drifts().values():
            spoil()
        gcp_lab.converge(**wanted)
    gcp_lab.store()
    gcp_lab.converge(**wanted, state="absent")
    gcp_lab.converge(**wanted)
    gcp_lab.converge(**wanted, state="absent", delete_data=True)
    assert NAME not in gcp_lab.google.buckets


def test_a_direct_identity_needs_no_right_on_service_accounts(gcp_lab: GcpLab) -> None:
    gcp_lab.google.grants = deployer()
    assert not any(each.startswith("iam.") for grant in deployer() for each in grant.permissions)
    with pytest.raises(CloudError, match=r"iam\.serviceAccounts\.get is missing"):
        gcp_lab.converge()
    gcp_lab.converge(**DIRECT)


def test_a_bucket_outside_of_the_condition_is_not_reached(gcp_lab: GcpLab) -> None:
    gcp_lab.google.grants = deployer()
    with pytest.raises(CloudError, match=r"storage\.buckets\.\w+ is missing"):
        gcp_lab.converge(**DIRECT, project="other")
    assert gcp_lab.cloud.writes() == []


@pytest.mark.parametrize(
    ("permission", "resource"),
    [
        ("storage.buckets.setIamPolicy", "projects/_/buckets/theirs"),
        ("storage.buckets.delete", "projects/_/buckets/x-my-demo-mlflow-0a1b2c3d"),
        ("storage.buckets.update", "projects/_/buckets/my-demo"),
        ("storage.objects.delete", "projects/_/buckets/theirs/objects/projects/_/buckets/my-demo-mlflow-0a1b2c3d"),
        ("storage.objects.list", "projects/_/buckets/theirs"),
        ("storage.objects.get", f"projects/_/buckets/{NAME}/objects/artifacts/model"),
        ("storage.buckets.setIamPolicy", PROJECT),
        ("resourcemanager.projects.setIamPolicy", PROJECT),
        ("iam.roles.update", PROJECT),
        ("iam.serviceAccounts.setIamPolicy", f"{PROJECT}/serviceAccounts/{THEIRS}"),
        ("iam.serviceAccounts.setIamPolicy", f"{PROJECT}/serviceAccounts/{EMAIL}"),
        ("iam.serviceAccounts.getAccessToken", f"{PROJECT}/serviceAccounts/{THEIRS}"),
        ("iam.serviceAccountKeys.create", f"{PROJECT}/serviceAccounts/{THEIRS}"),
    ],
)
def test_no_way_from_the_printed_google_roles_to_more(permission: str, resource: str) -> None:
    assert not allowed(deployer(), permission, resource)


def test_the_page_warns_of_the_role_for_service_accounts() -> None:
    """No condition helps there: who holds it on the project can become every account of it."""
    reached = f"{PROJECT}/serviceAccounts/{THEIRS}"
    assert allowed(deployer(with_accounts=True), "iam.serviceAccounts.setIamPolicy", reached)
    text = " ".join((DOCS / "gcp.md").read_text(encoding="utf-8").split())
    assert "can become any service account of the project" in text


def test_condition_is_bound_with_the_buckets_not_the_project() -> None:
    bindings = blocks("gcp.md", "bash", {})[-2]
    unconditioned, conditioned = bindings.split("gcloud projects add-iam-policy-binding")[1:]
    assert "--condition=None" in unconditioned
    assert "nebariMlflowDeployer" in unconditioned
    assert "--condition-from-file=condition.json" in conditioned
    assert "nebariMlflowBuckets" in conditioned


def test_the_page_says_that_the_identity_is_the_projects() -> None:
    text = " ".join((DOCS / "gcp.md").read_text(encoding="utf-8").split())
    assert "The identity is the Google Cloud project's, not the cluster's." in text


def test_each_cluster_of_a_google_project_is_the_same_identity(gcp_lab: GcpLab) -> None:
    """What the page says is so: a known limit of GKE, for which the page names what helps."""
    gcp_lab.converge()
    other = f"https://container.googleapis.com/v1/{PROJECT}/locations/us-east1/clusters/other"
    gcp_lab.use("dev", "nebari-mlflow", issuer=other)
