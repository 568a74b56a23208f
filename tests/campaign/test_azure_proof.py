"""azure.azcollection's own modules, with Microsoft's SDKs, find what the role `azure` created."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.campaign.azure_sdks import azure_python
from tests.campaign.tasks import run
from tests.integration.clouds.azure_lab import (
    IDENTITY_NAME,
    ISSUER,
    NAME,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    AzureLab,
)

__all__ = ["azure_python"]

pytestmark = pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it")
CREDENTIALS = "federatedIdentityCredentials"
OF_IDENTITY = {
    "resource_group": RESOURCE_GROUP,
    "provider": "ManagedIdentity",
    "resource_type": "userAssignedIdentities",
    "resource_name": IDENTITY_NAME,
    "api_version": "2023-01-31",
}


def test_azures_own_modules_find_what_the_role_created(azure_lab: AzureLab, tmp_path: Path, azure_python: str) -> None:
    """One principal serves both, as defaults of our group of modules, which holds the collection's."""
    azure_lab.converge()
    container = azure_lab.converge()["found"]["container_id"]
    given = azure_lab.environment()
    principal = {
        "client_id": given["ARM_CLIENT_ID"],
        "secret": given["ARM_CLIENT_SECRET"],
        "tenant": given["ARM_TENANT_ID"],
        "subscription_id": SUBSCRIPTION,
    }
    tasks: dict[str, dict[str, Any]] = {
        "ours": {"nebari.mlflow.azure_resource_group": {"name": RESOURCE_GROUP, "owner": "me"}},
        "group": {"azure.azcollection.azure_rm_resourcegroup_info": {"name": RESOURCE_GROUP}},
        "account": {
            "azure.azcollection.azure_rm_storageaccount_info": {
                "resource_group": RESOURCE_GROUP, "name": NAME, "auth_mode": "login"
            }
        },
        "identity": {"azure.azcollection.azure_rm_resource_info": OF_IDENTITY},
        "credential": {
            "azure.azcollection.azure_rm_resource_info": {
                **OF_IDENTITY, "subresource": [{"type": CREDENTIALS, "name": "nebari-mlflow"}]
            }
        },
        "assignment": {"azure.azcollection.azure_rm_roleassignment_info": {"scope": container}},
    }  # fmt: skip
    variables = {name: value for name, value in given.items() if not name.startswith("ARM_")}
    defaults = {"group/nebari.mlflow.azure": principal}
    found = run(tasks, tmp_path, variables, interpreter=azure_python, module_defaults=defaults)
    assert {name: result["msg"] for name, result in found.items() if result.get("failed")} == {}
    assert found["ours"]["changes"] == []
    assert [each["location"] for each in found["group"]["resourcegroups"]] == ["westeurope"]
    (account,) = found["account"]["storageaccounts"]
    assert (account["name"], account["minimum_tls_version"], account["https_only"]) == (NAME, "TLS1_2", True)
    assert account["allow_blob_public_access"] is False
    (identity,) = found["identity"]["response"]
    wanted = azure_lab.storage["service_account_annotations"]["azure.workload.identity/client-id"]
    assert identity["properties"]["clientId"] == wanted
    (credential,) = found["credential"]["response"]
    assert credential["properties"]["issuer"] == ISSUER
    assert credential["properties"]["subject"] == "system:serviceaccount:dev:nebari-mlflow"
    (assignment,) = found["assignment"]["roleassignments"]
    assert assignment["principal_id"] == identity["properties"]["principalId"]
