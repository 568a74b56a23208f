"""What only Azure has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.azure import client
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.errors import CloudError

from .azure_lab import ACCOUNT, CONTAINER, GROUP, IDENTITY, ISSUER, NAME, AzureLab

PAGE = Path(__file__).parents[3] / "docs/how-to/azure.md"
CREDENTIAL = f"{IDENTITY}/federatedidentitycredentials/nebari-mlflow"


def test_every_call_is_documented_and_nothing_more(azure_lab: AzureLab) -> None:
    documented = set(json.loads(re.findall("```json\n(.*?)```", PAGE.read_text(), re.S)[0])["Actions"])
    used: set[str] = set()

    def run(**changed: Any) -> None:
        azure_lab.converge(**changed)
        used.update(call.action for call in azure_lab.cloud.calls)

    run()
    for spoil in azure_lab.drifts().values():
        spoil()
    run()
    run(state="absent")
    azure_lab.arm.resources[f"{ACCOUNT}/blobservices/default/containers/theirs"] = {"name": "theirs", "properties": {}}
    run(state="absent", delete_data=True)
    del azure_lab.arm.resources[f"{ACCOUNT}/blobservices/default/containers/theirs"]
    run(state="absent", delete_data=True)
    assert used - {"token", "poll"} == documented


def test_the_account_is_closed_and_the_right_is_on_the_container_only(azure_lab: AzureLab) -> None:
    azure_lab.converge()
    properties = azure_lab.arm.resources[ACCOUNT]["properties"]
    assert properties["minimumTlsVersion"] == "TLS1_2"
    assert not properties["allowBlobPublicAccess"]
    assert not properties["allowSharedKeyAccess"]
    assignments = {
        path: each for path, each in azure_lab.arm.resources.items() if NAME in path and "roleassign" in path
    }
    (path, assignment), *others = assignments.items()
    assert others == []
    assert path.startswith(f"{CONTAINER}/providers/")
    assert assignment["properties"]["principalType"] == "ServicePrincipal"
    assert assignment["properties"]["roleDefinitionId"].endswith("ba92f5b4-2d11-453d-a403-e96b0029c9fe")


@pytest.mark.parametrize("given", [ISSUER, ISSUER.rstrip("/")])
def test_the_issuer_is_written_as_the_clusters_tokens_have_it(azure_lab: AzureLab, given: str) -> None:
    azure_lab.converge(oidc_issuer_url=given)
    assert azure_lab.arm.resources[CREDENTIAL]["properties"] == {
        "issuer": ISSUER,
        "subject": "system:serviceaccount:dev:nebari-mlflow",
        "audiences": ["api://AzureADTokenExchange"],
    }


def test_a_name_that_somebody_has_is_found_before_anything_is_made(azure_lab: AzureLab) -> None:
    azure_lab.arm.names.add(NAME)
    for check in (True, False):
        with pytest.raises(CloudError, match="already taken"):
            azure_lab.converge(check=check)
        assert azure_lab.cloud.writes() == []


def test_a_group_that_we_made_goes_with_its_data(azure_lab: AzureLab) -> None:
    del azure_lab.arm.resources[GROUP]
    with pytest.raises(CloudError, match="demo-dev does not exist"):
        azure_lab.converge()
    planned = azure_lab.converge(check=True, location="westeurope")
    assert azure_lab.converge(location="westeurope")["changes"] == planned["changes"]
    for path in [path for path in azure_lab.arm.resources if "/theirs" in path]:
        del azure_lab.arm.resources[path]
    planned = azure_lab.converge(check=True, state="absent", delete_data=True)
    assert azure_lab.converge(state="absent", delete_data=True)["changes"] == planned["changes"]
    assert azure_lab.arm.resources == {}


def test_a_group_of_others_and_their_containers_stay(azure_lab: AzureLab) -> None:
    azure_lab.converge()
    theirs = f"{ACCOUNT}/blobservices/default/containers/theirs"
    azure_lab.arm.resources[theirs] = {"name": "theirs", "properties": {}}
    azure_lab.converge(state="absent", delete_data=True)
    assert {ACCOUNT, theirs, GROUP} <= set(azure_lab.arm.resources)
    assert CONTAINER not in azure_lab.arm.resources


def test_what_others_set_on_the_account_stays(azure_lab: AzureLab) -> None:
    azure_lab.converge()
    account, service = azure_lab.arm.resources[ACCOUNT], azure_lab.arm.resources[f"{ACCOUNT}/blobservices/default"]
    account["tags"]["cost-centre"] = "7"
    account["properties"]["networkAcls"] = {
        "defaultAction": "Deny",
        "bypass": "None",
        "ipRules": [{"value": "192.0.2.1", "action": "Allow"}],
        "virtualNetworkRules": [],
    }
    cors = service["properties"]["cors"] = {"corsRules": [{"allowedOrigins": ["*"]}]}
    service["properties"]["isVersioningEnabled"] = False
    service["properties"]["deleteRetentionPolicy"]["days"] = 90
    assert [change["fields"] for change in azure_lab.converge()["changes"]] == [["versioning"]]

    after = azure_lab.arm.resources[f"{ACCOUNT}/blobservices/default"]["properties"]
    assert (after["cors"], after["deleteRetentionPolicy"]["days"]) == (cors, 90)
    rules = {"default_action": "Deny", "bypass": "AzureServices", "ip_rules": ["203.0.113.7"], "subnet_ids": ["/s/1"]}
    azure_lab.converge(network_rules=rules)
    network = azure_lab.arm.resources[ACCOUNT]["properties"]["networkAcls"]
    assert [each["value"] for each in network["ipRules"]] == ["192.0.2.1", "203.0.113.7"]
    assert [each["id"] for each in network["virtualNetworkRules"]] == ["/s/1"]
    assert not azure_lab.converge(network_rules=rules)["changed"]


def test_a_right_that_somebody_gave_already_is_not_given_again(azure_lab: AzureLab) -> None:
    azure_lab.converge()
    path = next(path for path in azure_lab.arm.resources if path.startswith(f"{CONTAINER}/providers/"))
    theirs = f"{path.rpartition('/')[0]}/theirs"
    azure_lab.arm.resources[theirs] = azure_lab.arm.resources.pop(path)
    assert not azure_lab.converge()["changed"]


def test_an_object_of_another_deployment_is_refused(azure_lab: AzureLab) -> None:
    azure_lab.converge()
    for path in (ACCOUNT, IDENTITY):
        owner = azure_lab.arm.resources[path]["tags"]["nebari-mlflow-owner"]
        azure_lab.arm.resources[path]["tags"]["nebari-mlflow-owner"] = "somebody-else"
        for state in ("present", "absent"):
            with pytest.raises(CloudError, match="belongs to 'somebody-else'"):
                azure_lab.converge(state=state, delete_data=True)
            assert azure_lab.cloud.writes() == []
        azure_lab.arm.resources[path]["tags"]["nebari-mlflow-owner"] = owner


def test_an_account_of_nebari_mlflow_plugin_is_gone_on_with_and_closed(azure_lab: AzureLab) -> None:
    done = azure_lab.converge(adopt="theirs")
    assert done["storage"]["uri"] == "wasbs://nebari-mlflow@theirs.blob.core.windows.net/artifacts"
    assert not azure_lab.converge(adopt="theirs")["changed"]
    assert ACCOUNT not in azure_lab.arm.resources


def test_missing_libraries_are_named_with_the_command_that_installs_them(
    azure_lab: AzureLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MISSING", ImportError("No module named 'azure'"))
    with pytest.raises(CloudError, match=r"-m pip install 'nebari-mlflow\[azure\]'"):
        azure_lab.converge()
    assert azure_lab.cloud.calls == []


def test_bad_input_says_what_to_do(azure_lab: AzureLab, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CloudError, match="not available for resource type") as nowhere:
        azure_lab.converge(location="atlantis")
    assert "az account list-locations" in nowhere.value.fix
    with pytest.raises(CloudError, match="could not be found") as wrong:
        azure_lab.converge(subscription_id="00000000-0000-0000-0000-00000000000b")
    assert "az account list" in wrong.value.fix
    monkeypatch.setenv("ARM_CLIENT_SECRET", "expired")
    with pytest.raises(CloudError, match="AADSTS7000222") as expired:
        azure_lab.converge()
    assert "ARM_CLIENT_SECRET" in expired.value.fix


def test_bad_variables_are_refused_before_any_call(azure_lab: AzureLab) -> None:
    played = azure_lab.play(mlflow_azure_oidc_issuer_url="")
    assert (played.code, azure_lab.cloud.calls) == (2, [])
    assert "az aks show" in played.message
