"""The deployer's roles of docs/how-to/azure.md: enough for all that the module does, and no way to more."""

from __future__ import annotations

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.errors import CloudError

from tests.integration.clouds.azure_lab import CONTAINER, GROUP, RESOURCE_GROUP, SUBSCRIPTION, THEIRS, AzureLab
from tests.simulators.azure import Grant
from tests.simulators.azure.conditions import evaluate
from tests.simulators.azure.grants import allowed, attributes

from .page import blocks, documents

PLACEHOLDERS = {
    "00000000-0000-0000-0000-000000000000": SUBSCRIPTION,
    "resourceGroups/demo-mlflow": f"resourceGroups/{RESOURCE_GROUP}",
}
WRITE, DELETE = "Microsoft.Authorization/roleAssignments/write", "Microsoft.Authorization/roleAssignments/delete"
BLOBS = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
OWNER, ACCESS = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"


def deployer() -> list[Grant]:
    role, names = documents("azure.md", PLACEHOLDERS)
    (condition,) = blocks("azure.md", "text", {})
    return [
        Grant(tuple(role["Actions"]), role["AssignableScopes"][0], condition, tuple(role["DataActions"])),
        Grant(tuple(names["Actions"]), names["AssignableScopes"][0]),
    ]


def granting(role: str, kind: str = "ServicePrincipal", source: str = "Request") -> dict[str, str]:
    definition = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    return attributes(source, {"roleDefinitionId": definition, "principalId": "p", "principalType": kind})


def test_the_printed_azure_role_allows_all_that_we_do(azure_lab: AzureLab) -> None:
    azure_lab.arm.grants = deployer()
    azure_lab.converge()
    assert not azure_lab.converge()["changed"]
    for spoil in azure_lab.drifts().values():
        spoil()
    azure_lab.converge()
    azure_lab.store()
    azure_lab.converge(state="absent")
    azure_lab.converge()
    azure_lab.converge(state="absent", delete_data=True)
    assert CONTAINER not in azure_lab.arm.resources


def test_the_printed_azure_role_ends_at_its_group(azure_lab: AzureLab) -> None:
    azure_lab.arm.grants = deployer()
    other = f"{GROUP}-other"
    azure_lab.arm.resources[other] = {"id": other, "location": "westeurope", "tags": {}}
    with pytest.raises(CloudError, match=r"resourceGroups/read is missing"):
        azure_lab.converge(resource_group=f"{RESOURCE_GROUP}-other")
    assert azure_lab.cloud.writes() == []


@pytest.mark.parametrize(
    ("action", "target", "seen"),
    [
        (WRITE, GROUP, granting(OWNER)),
        (WRITE, GROUP, granting(ACCESS)),
        (WRITE, GROUP, granting(BLOBS, "User")),
        (WRITE, GROUP, granting(BLOBS, "Group")),
        (WRITE, GROUP, {}),
        (WRITE, GROUP, granting(BLOBS, source="Resource")),
        (WRITE, f"/subscriptions/{SUBSCRIPTION}", granting(BLOBS)),
        (WRITE, f"{GROUP}-other", granting(BLOBS)),
        (DELETE, GROUP, granting(OWNER, source="Resource")),
        (DELETE, GROUP, granting(BLOBS, "User", "Resource")),
        ("Microsoft.Authorization/roleDefinitions/write", GROUP, {}),
        ("Microsoft.Authorization/elevateAccess/action", GROUP, {}),
        ("Microsoft.Authorization/locks/delete", GROUP, {}),
        ("Microsoft.Storage/storageAccounts/listKeys/action", THEIRS, {}),
        ("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write", THEIRS, {}),
        ("Microsoft.Storage/storageAccounts/blobServices/containers/clearLegalHold/action", THEIRS, {}),
        ("Microsoft.Storage/storageAccounts/fileServices/shares/delete", THEIRS, {}),
        ("Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", GROUP, {}),
        ("Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action", GROUP, {}),
        ("Microsoft.Resources/subscriptions/resourceGroups/delete", GROUP, {}),
        ("Microsoft.Resources/deployments/write", GROUP, {}),
    ],
)  # fmt: skip
def test_no_way_from_the_printed_azure_role_to_more(action: str, target: str, seen: dict[str, str]) -> None:
    assert not allowed(deployer(), action, target, seen)


def test_page_names_what_the_azure_role_still_allows() -> None:
    """Each of these is a sentence under "What a holder of these rights can do"."""
    credential = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write"
    assert allowed(deployer(), WRITE, THEIRS, granting(BLOBS))
    assert allowed(deployer(), "Microsoft.Storage/storageAccounts/delete", THEIRS, {})
    assert allowed(deployer(), credential, GROUP, {})


def test_unknown_condition_never_holds() -> None:
    """So that the evaluation above never passes for a mistyped condition."""
    for text in ("@Request[x] GuidEquals {1}", "ActionMatches{'a'} XOR ActionMatches{'b'}", "(ActionMatches{'a'}"):
        with pytest.raises((NotImplementedError, KeyError, IndexError)):
            evaluate(text, "a", {})
