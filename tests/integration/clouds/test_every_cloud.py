"""What every cloud keeps: it plans exactly, converges, touches nothing of others, and lets the right pod in."""

from __future__ import annotations

import importlib
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import verify
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.errors import CloudError

from tests.support import ROOT, printed

from .lab import NAMESPACE, Denied, Lab

NO_PERMISSIONS = {"token", "poll"}  # calls that everybody may make
ACCOUNT = "nebari-mlflow"
ROLES = ROOT / "collections/ansible_collections/nebari/mlflow/roles"
REMOVALS: tuple[dict[str, Any], ...] = ({"state": "absent"}, {"state": "absent", "delete_data": True})


def test_playbook_plan_predicts_the_deploy_and_second_deploy_idles(lab: Lab) -> None:
    planned = lab.play("--check", "--diff")
    assert planned.code == 0, planned.output
    assert lab.cloud.writes() == []
    done = lab.play()
    assert done.code == 0, done.output
    assert planned.changes == done.changes != []
    assert planned.storage["uri"] == done.storage["uri"]
    assert done.storage == lab.handed_over()
    again = lab.play()
    assert (again.code, again.changed, lab.cloud.writes()) == (0, 0, [])
    assert again.storage == done.storage


def test_the_roles_readme_is_true(lab: Lab) -> None:
    """Its example runs, with this account's own ids, and gives what the README shows."""
    (example,), shown = printed(ROLES / lab.provider / "README.md")
    given = example["vars"]
    assert set(given) <= {*lab.variables, "mlflow_provider", "mlflow_project_name", "mlflow_namespace"}
    played = lab.play("--check", **{name: lab.variables.get(name, value) for name, value in given.items()})
    assert played.code == 0, played.output
    storage = shown[f"{lab.provider}_storage"]
    assert played.storage.keys() == storage.keys()
    for part in ("env", "service_account_annotations", "pod_labels"):
        assert played.storage[part].keys() == storage[part].keys(), part


def test_an_authority_that_ssl_cert_file_names_is_trusted(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {name: value for name, value in lab.environment().items() if not name.endswith("CA_BUNDLE")}
    given["SSL_CERT_FILE"] = str(lab.proxy.authority.bundle)
    monkeypatch.setattr(lab, "environment", lambda: given)
    planned = lab.play("--check")
    assert planned.code == 0, planned.output
    assert len(lab.cloud.calls) > 0


def test_absent_keeps_the_data_and_coming_back_finds_it(lab: Lab) -> None:
    before = lab.others()
    first = lab.converge()
    lab.store()
    planned = lab.converge(check=True, state="absent")
    assert lab.cloud.writes() == []
    gone = lab.converge(state="absent")
    assert planned["changes"] == gone["changes"] != []
    assert gone["kept"]
    assert not lab.converge(state="absent")["changed"]
    assert lab.has_data()
    assert lab.converge()["storage"]["uri"] == first["storage"]["uri"]
    assert lab.has_data()
    assert not lab.converge()["changed"]
    assert lab.others() == before


def test_deleting_data_empties_all_and_leaves_nothing(lab: Lab) -> None:
    before = lab.others()
    lab.converge()
    lab.store()
    planned = lab.converge(check=True, state="absent", delete_data=True)
    assert lab.cloud.writes() == []
    assert lab.has_data()
    gone = lab.converge(state="absent", delete_data=True)
    assert planned["changes"] == gone["changes"]
    assert (gone["kept"], lab.has_data()) == ([], False)
    assert not lab.converge(state="absent", delete_data=True)["changed"]
    assert lab.converge()["changes"][0]["action"] == "create"
    assert lab.others() == before


def test_idle_run_reads_little_and_writes_nothing(lab: Lab) -> None:
    lab.converge()
    assert not lab.converge()["changed"]
    assert lab.cloud.writes() == []
    assert len(lab.cloud.calls) <= lab.most_reads


def test_each_drift_is_seen_named_and_repaired(lab: Lab, campaign: bool) -> None:
    lab.converge()
    for field, spoil in [*lab.drifts().items()][:: 1 if campaign else 2]:
        spoil()
        planned = lab.converge(check=True)
        assert lab.cloud.writes() == []
        repaired = lab.converge()
        assert (planned["changes"], planned["diff"]) == (repaired["changes"], repaired["diff"]), field
        assert [change.get("fields", [field]) for change in repaired["changes"]] == [[field]], field
        assert not lab.converge()["changed"], field


def test_missing_permission_is_named_and_refused_read_changes_nothing(lab: Lab, campaign: bool) -> None:
    before, step = lab.others(), 1 if campaign else 3
    lab.converge()
    needed = {call.action for call in lab.cloud.calls} - NO_PERMISSIONS
    for action in sorted(needed)[::step]:
        lab.reset()
        lab.deny(action)
        with pytest.raises(CloudError, match=re.escape(action)) as refused:
            lab.converge()
        assert refused.value.fix
    lab.reset()
    lab.converge()
    lab.converge()
    for action in sorted({call.action for call in lab.cloud.calls} - NO_PERMISSIONS)[::step]:
        lab.cloud.faults.clear()
        lab.deny(action)
        with pytest.raises(CloudError):
            lab.converge()
        assert lab.cloud.writes() == [], action
    lab.cloud.faults.clear()
    assert lab.others() == before


@pytest.mark.parametrize("removal", REMOVALS, ids=["absent", "with-data"])
def test_removal_names_missing_permissions_and_finishes_once_granted(
    lab: Lab, removal: dict[str, Any], campaign: bool
) -> None:
    lab.converge()
    lab.store()
    lab.converge(**removal)
    for action in sorted({call.action for call in lab.cloud.calls} - NO_PERMISSIONS)[:: 1 if campaign else 4]:
        lab.reset()
        lab.converge()
        lab.store()
        lab.deny(action)
        with pytest.raises(CloudError, match=re.escape(action)):
            lab.converge(**removal)
        assert lab.has_data() or removal.get("delete_data"), action
        lab.cloud.faults.clear()
        lab.converge(**removal)
        assert not lab.converge(**removal)["changed"]


def test_what_another_deployment_owns_is_refused_before_anything_is_changed(lab: Lab) -> None:
    for name, mark in lab.owned().items():
        lab.reset()
        lab.converge()
        mark("somebody-else")
        for wanted in ({}, *REMOVALS):
            for check in (True, False):
                with pytest.raises(CloudError, match="belongs to 'somebody-else'"):
                    lab.converge(check, **wanted)
                assert lab.cloud.writes() == [], (name, wanted)


def test_only_the_servers_own_service_account_reaches_the_data(lab: Lab) -> None:
    lab.converge()
    lab.use(NAMESPACE, ACCOUNT)
    for namespace, account in (("other", ACCOUNT), (NAMESPACE, "default")):
        with pytest.raises(Denied):
            lab.use(namespace, account)
    with pytest.raises(Denied):
        lab.use(NAMESPACE, ACCOUNT, issuer="https://another.cluster/id/1")
    lab.converge(state="absent")
    with pytest.raises(Denied):
        lab.use(NAMESPACE, ACCOUNT)
    lab.converge()
    lab.use(NAMESPACE, ACCOUNT)


def test_verification_waits_visibly_until_the_grants_work(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """By the chart's own script, whose waiting this is; a deploy ends with it."""
    lab.slow(25)
    lab.converge()

    def upload() -> bytes:
        try:
            lab.use(NAMESPACE, ACCOUNT)
        except Denied as denied:
            raise verify.StepError("upload artifact", str(denied)) from denied
        return b""

    verify.retry(upload, 600, "the artifact store")
    told = capsys.readouterr().out.splitlines()
    assert len(told) > 2
    assert all(re.match(r"waiting for the artifact store \(\d+ s of 600 s\): upload artifact: ", line) for line in told)
    lab.slow(1000)
    lab.converge(state="absent")
    lab.converge()
    with pytest.raises(verify.StepError):
        verify.retry(upload, 30, "the artifact store")


def test_tags_of_any_case_are_kept_and_ours_win(lab: Lab) -> None:
    """People write `Project: 42` into YAML; to some services `Project` and `project` are one tag."""
    given: dict[str, Any] = {"cost": 42, "live": True, "none": None}
    if lab.provider != "gcp":  # whose labels have small letters only: the role refuses others
        given |= {"Project": "theirs", "NEBARI-MLFLOW-OWNER": "me"}
    tags: dict[str, Any] = {"labels" if lab.provider == "gcp" else "tags": given}
    lab.converge(**tags)
    assert not lab.converge(**tags)["changed"]
    assert not lab.converge()["changed"]


def test_missing_libraries_are_named_with_the_command_that_installs_them(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = importlib.import_module(f"ansible_collections.nebari.mlflow.plugins.module_utils.{lab.provider}.client")
    monkeypatch.setattr(client, "MISSING", ImportError("No module named 'it'"))
    with pytest.raises(CloudError, match=rf"-m pip install 'nebari-mlflow\[{lab.provider}\]'"):
        lab.converge()
    assert lab.cloud.calls == []


def test_two_deployments_in_one_account_at_once_do_not_meet(lab: Lab) -> None:
    def deploy(namespace: str) -> str:
        return str(lab.converge(namespace=namespace)["storage"])

    with ThreadPoolExecutor() as pool:
        first, second = pool.map(deploy, ["dev", "prod"])
    assert first != second
    for namespace in ("dev", "prod"):
        assert not lab.converge(namespace=namespace)["changed"]
    lab.converge(namespace="prod", state="absent", delete_data=True)
    assert not lab.converge()["changed"]
