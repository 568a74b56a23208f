"""What only Azure has."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.errors import CloudError
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.progress import Progress

from tests.simulators.azure import clouds, storage
from tests.simulators.azure.login import CLIENT, TENANT
from tests.simulators.http import answer
from tests.simulators.proxy import Fault

from . import role
from .azure_lab import (
    ACCOUNT,
    CONTAINER,
    GROUP,
    IDENTITY,
    ISSUER,
    NAME,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    THEIRS,
    AzureLab,
)
from .lab import NAMESPACE, PROJECT, Denied

PAGE = Path(__file__).parents[3] / "docs/how-to/azure.md"
SUBNET = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/nodes"
AUDIENCE = "api://AzureADTokenExchange"
CREDENTIAL = f"{IDENTITY}/federatedidentitycredentials/nebari-mlflow"


def test_every_call_is_documented_and_nothing_more(azure_lab: AzureLab) -> None:
    printed = [json.loads(block) for block in re.findall("```json\n(.*?)```", PAGE.read_text(), re.S)]
    documented = {action for role in printed for action in [*role["Actions"], *role.get("DataActions", [])]}
    used: set[str] = set()

    def run(**changed: Any) -> None:
        azure_lab.converge(**changed)
        used.update(call.action for call in azure_lab.cloud.calls)

    run()
    for spoil in azure_lab.drifts().values():
        spoil()
    run()
    azure_lab.arm.resources[f"{IDENTITY}/federatedidentitycredentials/theirs"] = {"name": "theirs", "properties": {}}
    run(state="absent")
    del azure_lab.arm.resources[f"{IDENTITY}/federatedidentitycredentials/theirs"]
    run(state="absent")
    azure_lab.arm.resources[f"{ACCOUNT}/blobservices/default/containers/theirs"] = {"name": "theirs", "properties": {}}
    run(state="absent", delete_data=True)
    del azure_lab.arm.resources[f"{ACCOUNT}/blobservices/default/containers/theirs"]
    run(state="absent", delete_data=True)
    assert used - {"token", "poll"} == documented


def test_account_is_closed_and_right_covers_the_container_only(azure_lab: AzureLab) -> None:
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
    blob = f"https://{NAME}.blob.core.windows.net/nebari-mlflow/artifacts/model"
    with pytest.raises(Denied, match="KeyBasedAuthenticationNotPermitted"):
        azure_lab.send("GET", blob, headers={"Authorization": f"SharedKey {NAME}:a-key"})
    # The assignment's name is the same in every run, also for an identity that was made anew.
    azure_lab.converge(state="absent")
    azure_lab.converge()
    assert path in azure_lab.arm.resources


def test_writes_of_credentials_that_meet_others_are_repeated(azure_lab: AzureLab) -> None:
    """Azure takes one credential of an identity at a time."""
    code = "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity"
    refusal = answer(409, {"error": {"code": code, "message": "Too many Federated Identity Credentials are written."}})
    fault = Fault(
        lambda request: request.method == "PUT" and "credentials" in request.path.lower(), lambda _: refusal, 3
    )
    azure_lab.cloud.faults.append(fault)
    azure_lab.converge()
    assert fault.hits == 3
    assert CREDENTIAL in azure_lab.arm.resources


@pytest.mark.parametrize("given", [ISSUER, ISSUER.rstrip("/")])
def test_the_issuer_is_written_as_the_clusters_tokens_have_it(azure_lab: AzureLab, given: str) -> None:
    azure_lab.converge(oidc_issuer_url=given)
    assert azure_lab.arm.resources[CREDENTIAL]["properties"] == {
        "issuer": ISSUER,
        "subject": "system:serviceaccount:dev:nebari-mlflow",
        "audiences": ["api://AzureADTokenExchange"],
    }


def test_taken_name_is_found_before_anything_is_created(azure_lab: AzureLab) -> None:
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
    rules = {"default_action": "Deny", "bypass": "AzureServices", "ip_rules": ["203.0.113.7"], "subnet_ids": [SUBNET]}
    azure_lab.converge(network_rules=rules)
    network = azure_lab.arm.resources[ACCOUNT]["properties"]["networkAcls"]
    assert [each["value"] for each in network["ipRules"]] == ["192.0.2.1", "203.0.113.7"]
    assert [each["id"] for each in network["virtualNetworkRules"]] == [SUBNET]
    assert not azure_lab.converge(network_rules=rules)["changed"]


def test_a_right_that_somebody_gave_already_is_not_given_again(azure_lab: AzureLab) -> None:
    azure_lab.converge()
    path = next(path for path in azure_lab.arm.resources if path.startswith(f"{CONTAINER}/providers/"))
    theirs = f"{path.rpartition('/')[0]}/theirs"
    azure_lab.arm.resources[theirs] = azure_lab.arm.resources.pop(path)
    assert not azure_lab.converge()["changed"]


def other_credential(lab: AzureLab, **changed: Any) -> str:
    """Add a credential under another name, which says the same as ours unless it is changed; return its id."""
    path = CREDENTIAL.replace("nebari-mlflow", "theirs")
    properties = {"issuer": ISSUER, "subject": "system:serviceaccount:dev:nebari-mlflow", "audiences": [AUDIENCE]}
    properties |= changed
    lab.arm.resources[path] = {"id": path, "name": "theirs", "properties": properties}
    lab.arm.since[path] = 0.0
    return path


def other_assignment(lab: AzureLab) -> str:
    """Give our assignment another name, and return its id."""
    path = next(path for path in lab.arm.resources if path.startswith(f"{CONTAINER}/providers/"))
    theirs = f"{path.rpartition('/')[0]}/11111111-1111-1111-1111-111111111111"
    lab.arm.resources[theirs] = {**lab.arm.resources.pop(path), "id": theirs, "name": theirs.rpartition("/")[2]}
    return theirs


def test_a_credential_of_another_name_is_used(azure_lab: AzureLab) -> None:
    """Azure takes an issuer with a subject once for an identity."""
    azure_lab.converge()
    del azure_lab.arm.resources[CREDENTIAL]
    theirs = other_credential(azure_lab)
    assert not azure_lab.converge(check=True)["changed"]
    assert not azure_lab.converge()["changed"]
    azure_lab.use(NAMESPACE, "nebari-mlflow")
    azure_lab.arm.resources[theirs]["properties"]["audiences"] = ["another"]
    planned = azure_lab.converge(check=True)
    repaired = azure_lab.converge()
    assert planned["changes"] == repaired["changes"]
    assert [(each["name"], each["fields"]) for each in repaired["changes"]] == [("theirs", ["audiences"])]
    assert CREDENTIAL not in azure_lab.arm.resources


def test_a_spoilt_credential_beside_one_of_another_name_goes(azure_lab: AzureLab) -> None:
    """It admits another subject, and Azure refuses to correct it."""
    azure_lab.converge()
    azure_lab.drifts()["subject"]()
    theirs = other_credential(azure_lab)
    planned = azure_lab.converge(check=True)
    repaired = azure_lab.converge()
    assert planned["changes"] == repaired["changes"]
    assert [(each["action"], each["name"]) for each in repaired["changes"]] == [("delete", "nebari-mlflow")]
    assert theirs in azure_lab.arm.resources
    assert not azure_lab.converge()["changed"]
    azure_lab.use(NAMESPACE, "nebari-mlflow")


def test_a_credential_for_another_subject_is_no_substitute(azure_lab: AzureLab) -> None:
    azure_lab.converge()
    del azure_lab.arm.resources[CREDENTIAL]
    other_credential(azure_lab, subject="system:serviceaccount:dev:default")
    assert [each["name"] for each in azure_lab.converge()["changes"]] == ["nebari-mlflow"]
    assert CREDENTIAL in azure_lab.arm.resources


def test_a_right_of_another_name_goes_with_ours(azure_lab: AzureLab) -> None:
    azure_lab.converge()
    theirs = other_assignment(azure_lab)
    planned = azure_lab.converge(check=True, state="absent")
    gone = azure_lab.converge(state="absent")
    assert planned["changes"] == gone["changes"]
    assert (theirs in azure_lab.arm.resources, IDENTITY in azure_lab.arm.resources) == (False, False)
    assert not azure_lab.converge(state="absent")["changed"]


def test_right_of_another_name_stays_if_others_use_identity(azure_lab: AzureLab) -> None:
    azure_lab.converge()
    theirs = other_assignment(azure_lab)
    other_credential(azure_lab, subject="system:serviceaccount:prod:reader")
    kept = azure_lab.converge(state="absent")["kept"]
    assert theirs in azure_lab.arm.resources
    (reason,) = [each["reason"] for each in kept if each["kind"] == "role assignment"]
    assert "also has the federated credential theirs" in reason
    assert not azure_lab.converge(state="absent")["changed"]


def test_a_right_of_another_role_or_scope_is_not_touched(azure_lab: AzureLab) -> None:
    azure_lab.converge()
    first = other_assignment(azure_lab)
    azure_lab.arm.resources[first]["properties"]["roleDefinitionId"] = "another-role"
    second = first.replace(CONTAINER, ACCOUNT)
    properties = {**azure_lab.arm.resources[first]["properties"], "scope": ACCOUNT}
    azure_lab.arm.resources[second] = {"id": second, "name": "second", "properties": properties}
    azure_lab.converge(state="absent")
    assert {first, second} <= set(azure_lab.arm.resources)


def test_another_location_than_the_accounts_is_refused_by_name(azure_lab: AzureLab) -> None:
    azure_lab.converge()
    assert not azure_lab.converge(location="West Europe")["changed"]
    for check in (True, False):
        with pytest.raises(CloudError, match=f"{NAME} is in westeurope, not in eastus. Nothing was changed") as moved:
            azure_lab.converge(check, location="eastus")
        assert "mlflow_azure_location=westeurope" in moved.value.fix
        assert azure_lab.cloud.writes() == []
    with pytest.raises(CloudError, match="theirs is in westeurope, not in eastus"):
        azure_lab.converge(adopt="theirs", project="another", location="eastus")


def test_an_account_elsewhere_than_its_group_stays_there(azure_lab: AzureLab) -> None:
    """The group's location is only where Azure keeps the group itself."""
    azure_lab.converge(location="eastus")
    assert azure_lab.arm.resources[ACCOUNT]["location"] == "eastus"
    assert not azure_lab.converge()["changed"]
    assert azure_lab.converge()["found"]["location"] == "eastus"


def test_a_group_that_is_elsewhere_is_refused_by_its_module(azure_lab: AzureLab) -> None:
    given = {"subscription_id": SUBSCRIPTION, "name": RESOURCE_GROUP, "owner": "me"}
    quiet = Progress(None, "")
    assert role.run("azure_resource_group", {**given, "location": "West Europe"}, True, quiet)["changes"] == []
    assert azure_lab.cloud.writes() == []
    with pytest.raises(CloudError, match=f"{RESOURCE_GROUP} is in westeurope, not in eastus"):
        role.run("azure_resource_group", {**given, "location": "eastus"}, True, quiet)


def test_account_of_nebari_mlflow_plugin_is_adopted_and_closed(azure_lab: AzureLab) -> None:
    azure_lab.arm.resources[THEIRS]["sku"] = {"name": "Standard_GRS"}
    done = azure_lab.converge(adopt="theirs", replication="")
    assert done["storage"]["uri"] == "wasbs://nebari-mlflow@theirs.blob.core.windows.net"
    assert not azure_lab.converge(adopt="theirs", replication="")["changed"]
    assert ACCOUNT not in azure_lab.arm.resources
    properties = azure_lab.arm.resources[THEIRS]["properties"]
    assert not properties["allowBlobPublicAccess"]
    # Nobody asked for another replication, so that of the account stays.
    assert azure_lab.arm.resources[THEIRS]["sku"]["name"] == "Standard_GRS"


@pytest.mark.parametrize(
    "kind", ["fileservices/default/shares", "queueservices/default/queues", "tableservices/default/tables"]
)
def test_an_account_that_holds_more_than_blobs_stays(azure_lab: AzureLab, kind: str) -> None:
    azure_lab.converge()
    theirs = f"{ACCOUNT}/{kind}/theirs"
    azure_lab.arm.resources[theirs] = {"name": "theirs"}
    planned = azure_lab.converge(check=True, state="absent", delete_data=True)
    assert azure_lab.converge(state="absent", delete_data=True)["changes"] == planned["changes"]
    assert {ACCOUNT, theirs} <= set(azure_lab.arm.resources)
    assert CONTAINER not in azure_lab.arm.resources


def test_just_deleted_container_is_waited_for(azure_lab: AzureLab) -> None:
    azure_lab.converge()
    azure_lab.arm.resources[f"{ACCOUNT}/fileservices/default/shares/theirs"] = {"name": "theirs"}
    azure_lab.converge(state="absent", delete_data=True)
    azure_lab.converge()
    assert CONTAINER in azure_lab.arm.resources


def test_a_point_in_time_restore_that_others_set_up_stays(azure_lab: AzureLab) -> None:
    """The service says more of it than it may be told again."""
    azure_lab.converge()
    properties = azure_lab.arm.resources[f"{ACCOUNT}/blobservices/default"]["properties"]
    restore = {"enabled": True, "days": 6}
    properties["restorePolicy"] = {**restore, "minRestoreTime": "2026-01-01T00:00:00Z"}
    properties["changeFeed"] = {"enabled": True}
    properties["isVersioningEnabled"] = False
    azure_lab.converge()
    after = azure_lab.arm.resources[f"{ACCOUNT}/blobservices/default"]["properties"]
    assert (after["restorePolicy"], after["changeFeed"]) == (restore, {"enabled": True})


def test_tags_that_others_spelt_otherwise_are_kept_so(azure_lab: AzureLab) -> None:
    azure_lab.converge()
    for path in (ACCOUNT, IDENTITY):
        tags = azure_lab.arm.resources[path]["tags"]
        tags["Project"] = tags.pop("project")
        tags["NEBARI-mlflow-owner"] = tags.pop("nebari-mlflow-owner")
    assert not azure_lab.converge()["changed"]
    azure_lab.arm.resources[ACCOUNT]["tags"]["Project"] = "theirs"
    assert [change["fields"] for change in azure_lab.converge()["changes"]] == [["tags"]]
    assert azure_lab.arm.resources[ACCOUNT]["tags"]["Project"] == PROJECT
    assert not azure_lab.converge()["changed"]


def test_network_rules_are_written_as_azure_takes_them(azure_lab: AzureLab) -> None:
    rules = {"ip_rules": ["203.0.113.7/32", "198.51.100.0/31", "192.0.2.9/24"], "subnet_ids": [SUBNET]}
    azure_lab.converge(network_rules=rules)
    network = azure_lab.arm.resources[ACCOUNT]["properties"]["networkAcls"]
    addresses = ["203.0.113.7", "198.51.100.0", "198.51.100.1", "192.0.2.0/24"]
    assert [each["value"] for each in network["ipRules"]] == addresses
    assert (network["defaultAction"], network["virtualNetworkRules"][0]["state"]) == ("Deny", "Succeeded")
    assert not azure_lab.converge(network_rules=rules)["changed"]
    assert not azure_lab.converge()["changed"]
    # With a private endpoint nobody else is let in.
    azure_lab.reset()
    azure_lab.converge(network_rules={"default_action": "Deny"})
    assert azure_lab.arm.resources[ACCOUNT]["properties"]["networkAcls"]["defaultAction"] == "Deny"


@pytest.mark.parametrize(
    ("address", "said"),
    [("10.1.0.0/16", "private range"), ("2001:db8::/32", "not an IPv4"), ("everybody", "not an IPv4")],
)
def test_addresses_that_azure_does_not_take_are_refused(azure_lab: AzureLab, address: str, said: str) -> None:
    with pytest.raises(CloudError, match=said):
        azure_lab.converge(network_rules={"ip_rules": [address]})
    assert azure_lab.cloud.writes() == []


def test_right_on_a_subnet_is_named_exactly(azure_lab: AzureLab) -> None:
    """Azure's words name first the permission that is there."""
    azure_lab.arm.linked_denied.add(storage.JOIN)
    with pytest.raises(CloudError, match=f"the permission {storage.JOIN} is missing"):
        azure_lab.converge(network_rules={"subnet_ids": [SUBNET]})
    assert storage.JOIN in PAGE.read_text()


def test_account_of_an_interrupted_run_is_completed(azure_lab: AzureLab) -> None:
    """Its name is taken at once, and it shows later."""
    azure_lab.converge()
    azure_lab.arm.hidden[ACCOUNT] = 4
    assert not azure_lab.converge()["changed"]


def test_new_identity_is_waited_for_ten_minutes_visibly(azure_lab: AzureLab, tmp_path: Path) -> None:
    azure_lab.arm.lag = 40
    told = tmp_path / "progress"
    azure_lab.converge(progress=told)
    waits = [line for line in told.read_text().splitlines() if "roleAssignments" in line]
    seconds = [int(found) for line in waits for found in re.findall(r"\((\d+) s of at most 600 s\)", line)]
    assert len(waits) > 20
    assert seconds == sorted(seconds)
    assert 300 < seconds[-1] < 600
    azure_lab.reset()
    azure_lab.arm.lag = 10**6
    with pytest.raises(CloudError, match=r"ParentResourceNotFound|PrincipalNotFound"):
        azure_lab.converge()


def test_an_operation_that_fails_after_it_was_accepted_says_why(azure_lab: AzureLab) -> None:
    azure_lab.arm.fails = ("SubscriptionIsOverQuotaForSku", "The account count is at the maximum of 250.")
    with pytest.raises(CloudError, match=r"SubscriptionIsOverQuotaForSku: .*maximum of 250"):
        azure_lab.converge()
    azure_lab.converge()
    assert not azure_lab.converge()["changed"]


@pytest.mark.parametrize(
    ("status", "code", "said", "fix"),
    [
        (403, "RequestDisallowedByPolicy", "Resource was disallowed by policy 'owner-tag'", "Do as it says"),
        (409, "ScopeLocked", "The scope cannot perform write operation because it is locked", "az lock list"),
    ],
)
def test_other_errors_are_not_called_missing_permissions(
    azure_lab: AzureLab, status: int, code: str, said: str, fix: str
) -> None:
    refusal = answer(status, {"error": {"code": code, "message": said}})
    azure_lab.cloud.faults.append(Fault(lambda request: request.method == "PUT", lambda _: refusal))
    with pytest.raises(CloudError, match=said) as refused:
        azure_lab.converge()
    assert "permission" not in refused.value.cause
    assert fix in refused.value.fix


def test_a_region_is_taken_as_nebari_writes_it(azure_lab: AzureLab) -> None:
    azure_lab.converge(location="Central US")
    assert azure_lab.arm.resources[ACCOUNT]["location"] == "centralus"
    assert not azure_lab.converge(location="Central US")["changed"]


@pytest.mark.parametrize(
    ("variable", "value", "hosts"),
    [
        ("ARM_ENVIRONMENT", "usgovernment", clouds.US_GOVERNMENT),
        ("ARM_ENVIRONMENT", "china", clouds.CHINA),
        ("AZURE_CLOUD_ENVIRONMENT", "AzureUSGovernment", clouds.US_GOVERNMENT),
        ("AZURE_CLOUD_ENVIRONMENT", "AzureChinaCloud", clouds.CHINA),
        ("AZURE_CLOUD_ENVIRONMENT", "AzureCloud", clouds.PUBLIC),
    ],
)
def test_the_clouds_of_governments_and_of_china_work_too(
    azure_lab: AzureLab, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, hosts: clouds.Hosts
) -> None:
    azure_lab.arm.hosts = hosts
    monkeypatch.setenv(variable, value)
    done = azure_lab.converge()
    assert done["storage"]["uri"] == f"wasbs://nebari-mlflow@{NAME}{hosts.blobs}/artifacts"
    assert not azure_lab.converge()["changed"]
    assert azure_lab.converge(state="absent", delete_data=True)["changed"]
    assert ACCOUNT not in azure_lab.arm.resources
    asked = {call.host for call in azure_lab.cloud.calls}
    assert asked == {hosts.manager, hosts.login, f"{NAME}{hosts.blobs}"}


def test_a_profile_of_azures_collection_gives_principal_and_subscription(
    azure_lab: AzureLab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    azure_lab.converge()
    (tmp_path / ".azure").mkdir()
    (tmp_path / ".azure/credentials").write_text(
        f"[prod]\nsubscription_id={SUBSCRIPTION}\nclient_id={CLIENT}\nsecret=testing\ntenant={TENANT}\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AZURE_PROFILE", "prod")
    monkeypatch.setenv("ARM_CLIENT_SECRET", "expired")
    monkeypatch.setenv("ARM_SUBSCRIPTION_ID", "00000000-0000-0000-0000-00000000000b")
    assert not azure_lab.converge(subscription_id=None)["changed"]


def test_replication_needing_conversion_is_refused_in_azures_words(azure_lab: AzureLab) -> None:
    azure_lab.converge()
    with pytest.raises(CloudError, match="parameters are invalid: sku"):
        azure_lab.converge(replication="ZRS")


def test_bad_input_says_what_to_do(azure_lab: AzureLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARM_ENVIRONMENT", "german")
    with pytest.raises(CloudError, match=r"ARM_ENVIRONMENT.* is 'german'") as elsewhere:
        azure_lab.converge()
    assert "public, usgovernment, china" in elsewhere.value.fix
    assert "provider=existing" in elsewhere.value.fix
    assert azure_lab.cloud.calls == []
    monkeypatch.setenv("ARM_ENVIRONMENT", "public")
    with pytest.raises(CloudError, match="not available for resource type") as nowhere:
        azure_lab.converge(location="atlantis")
    assert "az account list-locations" in nowhere.value.fix
    for wrong in ("00000000-0000-0000-0000-00000000000b", ""):
        with pytest.raises(CloudError, match=r"could not be found|No subscription is given") as unknown:
            azure_lab.converge(subscription_id=wrong)
        assert "az account list" in unknown.value.fix
    azure_lab.arm.unregistered.add("Microsoft.ManagedIdentity")
    with pytest.raises(CloudError, match="not registered to use namespace") as unregistered:
        azure_lab.converge()
    assert "az provider register --wait --namespace Microsoft.ManagedIdentity" in unregistered.value.fix


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ARM_CLIENT_SECRET", "expired", "AADSTS7000222"),
        ("ARM_CLIENT_SECRET", "mistyped", "AADSTS7000215"),
        ("ARM_CLIENT_ID", "00000000-0000-0000-0000-000000000000", "AADSTS700016"),
        ("ARM_TENANT_ID", "00000000-0000-0000-0000-000000000000", "AADSTS90002|tenant|authority"),
    ],
)
def test_credentials_that_are_refused_say_so(
    azure_lab: AzureLab, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(CloudError, match=said) as refused:
        azure_lab.converge()
    assert "ARM_CLIENT_SECRET" in refused.value.fix


def test_missing_credentials_are_reported_with_ways_to_log_in(
    azure_lab: AzureLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ARM_CLIENT_ID", "ARM_CLIENT_SECRET", "ARM_TENANT_ID"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CloudError, match="No usable Azure credentials") as none:
        azure_lab.converge()
    assert "az login" in none.value.fix


def test_bad_variables_are_refused_before_any_call(azure_lab: AzureLab) -> None:
    played = azure_lab.play(mlflow_azure_oidc_issuer_url="")
    assert (played.code, azure_lab.cloud.calls) == (2, [])
    assert "az aks show" in played.message


def test_another_interpreter_runs_the_module_with_the_environments_subscription(
    azure_lab: AzureLab, tmp_path: Path
) -> None:
    """As when the libraries are kept beside Nebari's environment, and the subscription is Nebari's own variable."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho ran >> {tmp_path}/marks\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    azure_lab.extra = {"ARM_SUBSCRIPTION_ID": SUBSCRIPTION}
    played = azure_lab.play("--check", mlflow_azure_interpreter=str(python), mlflow_azure_subscription_id="")
    assert played.code == 0, played.output
    assert (tmp_path / "marks").read_text().startswith("ran")
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')  # -S: without any installed library
    bare.chmod(0o755)
    played = azure_lab.play(mlflow_azure_interpreter=str(bare))
    assert (played.code, azure_lab.cloud.calls) == (2, [])
    assert "-m pip install 'nebari-mlflow[azure]'" in played.message
