"""What only Google Cloud has."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.errors import CloudError

from tests.simulators.gcp import DEPLOYER
from tests.simulators.http import Request, Response
from tests.simulators.proxy import Fault

from .gcp_lab import CLOUD_PROJECT, EMAIL, NAME, NUMBER, REGION, GcpLab
from .keys import key_of

PAGE = Path(__file__).parents[3] / "docs/how-to/gcp.md"


def is_call(lab: GcpLab, action: str, request: Request) -> bool:
    return lab.cloud.name(request)[0] == action


def members(lab: GcpLab, name: str, role: str) -> list[str]:
    return [m for each in lab.google.policies[name].bindings if each["role"] == role for m in each["members"]]


def test_every_call_is_documented_and_nothing_more(gcp_lab: GcpLab) -> None:
    printed = [json.loads(block) for block in re.findall("```json\n(.*?)```", PAGE.read_text(), re.S)]
    documented = {permission for role in printed for permission in role.get("includedPermissions", [])}
    used: set[str] = set()

    def run(**changed: Any) -> None:
        gcp_lab.converge(**changed)
        used.update(call.action for call in gcp_lab.cloud.calls)

    run()
    for spoil in gcp_lab.drifts().values():
        spoil()
    run()
    gcp_lab.store()
    run(state="absent")
    run(state="absent", delete_data=True)
    run(direct_identity=True)
    assert used == documented


def test_a_member_that_somebody_adds_while_we_write_stays(gcp_lab: GcpLab) -> None:
    """The first write of each policy meets one that changed since it was read."""
    met: list[str] = []

    def interfere(request: Request) -> Response:
        target = NAME if request.host.startswith("storage") else EMAIL
        met.append(target)
        policy = gcp_lab.google.policies[target]
        policy.bindings.append({"role": "roles/viewer", "members": ["user:late@example.org"]})
        policy.version += 1
        return gcp_lab.cloud.app(request)

    for action in ("storage.buckets.setIamPolicy", "iam.serviceAccounts.setIamPolicy"):
        gcp_lab.cloud.faults.append(Fault(partial(is_call, gcp_lab, action), interfere))
    gcp_lab.converge()
    assert sorted(met) == sorted([NAME, EMAIL])
    for target in met:
        assert members(gcp_lab, target, "roles/viewer") == ["user:late@example.org"]
    assert members(gcp_lab, NAME, "roles/storage.objectUser") == [f"serviceAccount:{EMAIL}"]
    assert not gcp_lab.converge()["changed"]


def test_the_twin_of_a_deleted_account_is_no_member(gcp_lab: GcpLab) -> None:
    gcp_lab.converge()
    account = gcp_lab.google.accounts.pop(EMAIL)
    twin = f"deleted:serviceAccount:{EMAIL}?uid={account['uniqueId']}"
    binding = next(e for e in gcp_lab.google.policies[NAME].bindings if e["role"] == "roles/storage.objectUser")
    binding["members"] = [twin, "user:they@example.org"]
    gcp_lab.converge()
    assert members(gcp_lab, NAME, "roles/storage.objectUser") == ["user:they@example.org", f"serviceAccount:{EMAIL}"]
    assert not gcp_lab.converge()["changed"]


def test_conditions_and_members_of_others_stay_when_ours_goes(gcp_lab: GcpLab) -> None:
    gcp_lab.converge()
    policy = gcp_lab.google.policies[NAME]
    condition = {"title": "office hours", "expression": "true"}
    theirs = {"role": "roles/storage.objectUser", "members": ["user:a@example.org"], "condition": condition}
    policy.bindings.append(theirs)
    assert not gcp_lab.converge()["changed"]
    gcp_lab.converge(state="absent")
    assert theirs in policy.bindings
    assert members(gcp_lab, NAME, "roles/storage.objectUser") == ["user:a@example.org"]


def test_a_patch_drops_nothing_that_others_set(gcp_lab: GcpLab) -> None:
    gcp_lab.converge()
    bucket = gcp_lab.google.buckets[NAME]
    theirs = {"lifecycle": {"rule": [{"action": {"type": "Delete"}}]}, "cors": [{"origin": ["*"]}]}
    bucket.update(theirs)
    bucket["labels"]["cost-centre"] = "7"
    bucket["softDeletePolicy"]["retentionDurationSeconds"] = str(30 * 86400)
    bucket["versioning"] = {"enabled": False}
    assert [change["fields"] for change in gcp_lab.converge()["changes"]] == [["versioning"]]
    after = gcp_lab.google.buckets[NAME]
    assert {key: after[key] for key in theirs} == theirs
    assert after["labels"]["cost-centre"] == "7"
    assert after["softDeletePolicy"]["retentionDurationSeconds"] == str(30 * 86400)


def test_without_a_google_service_account_nothing_of_one_is_touched(gcp_lab: GcpLab) -> None:
    done = gcp_lab.converge(direct_identity=True)
    assert done["storage"]["service_account_annotations"] == {}
    assert done["storage"]["network"] == gcp_lab.handed_over()["network"], "it has the same metadata server"
    assert members(gcp_lab, NAME, "roles/storage.objectUser") == [
        f"principal://iam.googleapis.com/projects/{NUMBER}/locations/global/workloadIdentityPools/"
        f"{CLOUD_PROJECT}.svc.id.goog/subject/ns/dev/sa/nebari-mlflow"
    ]
    assert [call.action for call in gcp_lab.cloud.calls if call.action.startswith("iam.")] == []
    assert not gcp_lab.converge(direct_identity=True)["changed"]
    assert gcp_lab.converge(direct_identity=True, state="absent")["changed"]


@pytest.mark.parametrize(("number", "adopted"), [(NUMBER, True), ("42", False)])
def test_our_bucket_of_nebari_mlflow_plugin_is_adopted(gcp_lab: GcpLab, number: str, adopted: bool) -> None:
    gcp_lab.google.buckets["demo-mlflow-artifacts"] = {"projectNumber": number, "location": REGION.upper()}
    gcp_lab.google.policies["demo-mlflow-artifacts"] = type(gcp_lab.google.policies["theirs"])()
    done = gcp_lab.converge(project="demo")
    assert (done["storage"]["uri"] == "gs://demo-mlflow-artifacts") is adopted
    assert not gcp_lab.converge(project="demo")["changed"]


def test_protected_object_is_not_called_a_missing_permission(gcp_lab: GcpLab) -> None:
    gcp_lab.converge()
    gcp_lab.store()
    gcp_lab.google.held.add("artifacts/a b+c/ü")
    with pytest.raises(CloudError, match="under active Temporary hold") as held:
        gcp_lab.converge(state="absent", delete_data=True)
    assert "permission" not in str(held.value)
    gcp_lab.google.held.clear()
    gcp_lab.converge(state="absent", delete_data=True)
    assert NAME not in gcp_lab.google.buckets


def test_a_permission_is_named_and_not_the_deployers_own_address(gcp_lab: GcpLab) -> None:
    """Google begins its sentence with an address such as deployer@our-project-123.iam.gserviceaccount.com."""
    gcp_lab.deny("storage.buckets.get")
    with pytest.raises(CloudError, match=r"the permission storage\.buckets\.get is missing \(deployer@"):
        gcp_lab.converge()


def test_a_cluster_without_workload_identity_is_said_at_once(gcp_lab: GcpLab, tmp_path: Path) -> None:
    gcp_lab.google.pools.clear()
    for direct in (False, True):
        told = tmp_path / f"progress-{direct}"
        with pytest.raises(CloudError, match="Identity Pool does not exist") as missing:
            gcp_lab.converge(progress=told, direct_identity=direct)
        assert "--workload-pool" in missing.value.fix
        # Only for the account that was made a moment ago is waited, never for the pool.
        assert "(60 s" not in told.read_text()


def test_new_unknown_account_is_waited_for_visibly(gcp_lab: GcpLab, tmp_path: Path) -> None:
    gcp_lab.google.lag = 8
    told = tmp_path / "progress"
    gcp_lab.converge(progress=told)
    assert re.search(r"waiting for roles/iam.workloadIdentityUser .* \(\d+ s of at most 120 s\)", told.read_text())
    gcp_lab.reset()
    gcp_lab.google.lag = 10**6
    with pytest.raises(CloudError, match="Unknown service account"):
        gcp_lab.converge()


def test_disabled_cloud_service_error_says_how_to_enable_it(gcp_lab: GcpLab) -> None:
    gcp_lab.google.disabled.add("iam.googleapis.com")
    with pytest.raises(CloudError, match="it is disabled") as off:
        gcp_lab.converge()
    assert "gcloud services enable iam.googleapis.com" in off.value.fix


def test_someone_elses_bucket_is_named_and_nothing_is_created(gcp_lab: GcpLab) -> None:
    gcp_lab.google.buckets[NAME] = {"projectNumber": "42", "location": "US"}
    for check in (True, False):
        with pytest.raises(CloudError, match=f"bucket {NAME}") as taken:
            gcp_lab.converge(check)
        assert "use another project name" in taken.value.fix
        assert gcp_lab.cloud.writes() == []


@pytest.mark.parametrize(
    ("variable", "as_file"),
    [
        ("GOOGLE_CREDENTIALS", True),
        ("GOOGLE_CREDENTIALS", False),
        ("GCP_SERVICE_ACCOUNT_FILE", True),
        ("GCP_SERVICE_ACCOUNT_CONTENTS", False),
    ],
)
def test_service_account_key_is_read_as_nebari_and_google_do(
    gcp_lab: GcpLab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, as_file: bool
) -> None:
    key, public = key_of(DEPLOYER, CLOUD_PROJECT)
    path = tmp_path / "key.json"
    path.write_text(key)
    monkeypatch.delenv("GCP_ACCESS_TOKEN")
    monkeypatch.setenv("GCP_AUTH_KIND", "serviceaccount" if variable.startswith("GCP_") else "")
    monkeypatch.setenv(variable, str(path) if as_file else key)
    with pytest.raises(CloudError, match="Invalid JWT Signature"):
        gcp_lab.converge()
    gcp_lab.google.keys[DEPLOYER] = public
    gcp_lab.converge()
    assert not gcp_lab.converge()["changed"]


def test_bad_input_says_what_to_do(gcp_lab: GcpLab, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CloudError, match="location constraint is not valid"):
        gcp_lab.converge(region="mars-north1")
    for check in (True, False):
        with pytest.raises(CloudError, match=r"resourcemanager\.projects\.get is missing") as wrong:
            gcp_lab.converge(check, cloud_project="some-other-project")
        assert "gcloud projects list" in wrong.value.fix
        assert gcp_lab.cloud.writes() == []
    gcp_lab.converge()
    with pytest.raises(CloudError, match="is in EUROPE-WEST1, not in US-EAST1") as moved:
        gcp_lab.converge(region="us-east1")
    assert "mlflow_gcp_region=europe-west1" in moved.value.fix
    monkeypatch.setenv("GCP_ACCESS_TOKEN", "expired")
    with pytest.raises(CloudError, match="does not accept the credentials") as expired:
        gcp_lab.converge()
    assert "gcloud auth" in expired.value.fix
    monkeypatch.delenv("GCP_ACCESS_TOKEN")
    monkeypatch.delenv("GCP_AUTH_KIND")
    for variable in ("GOOGLE_CREDENTIALS", "GCP_SERVICE_ACCOUNT_FILE", "GCP_SERVICE_ACCOUNT_CONTENTS"):
        for given in ("/no/such/file", "{}", '{"type": "service_account"}', "{CANARY", "CANARY" * 100):
            monkeypatch.setenv(variable, given)
            with pytest.raises(CloudError, match="No usable Google credentials") as unusable:
                gcp_lab.converge()
            assert "CANARY" not in f"{unusable.value} {unusable.value.fix}"
        monkeypatch.delenv(variable)
    for kind, said in (
        ("serviceaccount", "GCP_SERVICE_ACCOUNT_FILE"),
        ("accesstoken", "GCP_ACCESS_TOKEN"),
        ("x", "none of"),
    ):
        monkeypatch.setenv("GCP_AUTH_KIND", kind)
        with pytest.raises(CloudError, match=said):
            gcp_lab.converge()
    monkeypatch.delenv("GCP_AUTH_KIND")
    monkeypatch.setenv("NO_GCE_CHECK", "true")  # as on a machine that is none of Google's
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nowhere")
    with pytest.raises(CloudError, match="No usable Google credentials") as none:
        gcp_lab.converge()
    assert "gcloud auth application-default login" in none.value.fix


def test_bad_variables_are_refused_before_any_call(gcp_lab: GcpLab) -> None:
    played = gcp_lab.play(mlflow_gcp_project="Not An Id")
    assert (played.code, gcp_lab.cloud.calls) == (2, [])
    assert "not the id of a project" in played.message
