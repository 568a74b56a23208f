"""What every cloud keeps: it plans exactly, converges, touches nothing of others, and survives faults."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.errors import CloudError

from .lab import FAULTS, Lab

NO_PERMISSIONS = {"token", "poll"}  # calls that everybody may make


def test_by_ansible_a_plan_says_what_a_deploy_does_and_the_second_deploy_does_nothing(lab: Lab) -> None:
    planned = lab.play("--check", "--diff")
    assert planned.code == 0, planned.output
    assert lab.cloud.writes() == []
    done = lab.play()
    assert done.code == 0, done.output
    assert planned.changes == done.changes != []
    assert planned.storage["uri"] == done.storage["uri"]
    assert set(done.storage) == {"uri", "env", "secret", "service_account_annotations", "pod_labels", "volume"}
    again = lab.play()
    assert (again.code, again.changed, lab.cloud.writes()) == (0, 0, [])
    assert again.storage == done.storage


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


def test_a_run_with_nothing_to_do_reads_little_and_writes_nothing(lab: Lab) -> None:
    lab.converge()
    assert not lab.converge()["changed"]
    assert lab.cloud.writes() == []
    assert len(lab.cloud.calls) <= lab.most_reads


def test_each_drift_is_seen_named_and_repaired(lab: Lab) -> None:
    lab.converge()
    for field, spoil in lab.drifts().items():
        spoil()
        planned = lab.converge(check=True)
        assert lab.cloud.writes() == []
        repaired = lab.converge()
        assert planned["changes"] == repaired["changes"], field
        assert [change.get("fields", [field]) for change in repaired["changes"]] == [[field]], field
        assert not lab.converge()["changed"], field


def test_each_missing_permission_is_named_and_a_refused_read_changes_nothing(lab: Lab) -> None:
    before = lab.others()
    lab.converge()
    needed = {call.action for call in lab.cloud.calls} - NO_PERMISSIONS
    for action in sorted(needed):
        lab.reset()
        lab.deny(action)
        with pytest.raises(CloudError, match=re.escape(action)) as refused:
            lab.converge()
        assert refused.value.fix
    lab.reset()
    lab.converge()
    lab.converge()
    for action in sorted({call.action for call in lab.cloud.calls} - NO_PERMISSIONS):
        lab.cloud.faults.clear()
        lab.deny(action)
        with pytest.raises(CloudError):
            lab.converge()
        assert lab.cloud.writes() == [], action
    lab.cloud.faults.clear()
    assert lab.others() == before


def test_one_failed_call_leaves_nothing_that_the_next_run_does_not_finish(lab: Lab, campaign: bool) -> None:
    lab.converge()
    calls = len(lab.cloud.calls)
    lab.reset()
    before = lab.others()
    for nth in range(calls):
        for number, kind in enumerate(FAULTS):
            if not campaign and (nth % 3 or number != nth // 3 % len(FAULTS)):
                continue
            lab.reset()
            fault = lab.inject(kind, nth)
            with suppress(CloudError):
                lab.converge()
            assert fault.hits == 1, (nth, kind)
            lab.converge()
            assert not lab.converge()["changed"], (nth, kind)
            assert lab.duplicates() == 0, (nth, kind)
            assert lab.others() == before


def test_a_killed_run_is_finished_by_the_next_one(lab: Lab, campaign: bool) -> None:
    lab.converge()
    writes = len(lab.cloud.writes())
    lab.reset()
    before = lab.others()
    for nth in range(writes) if campaign else (writes // 2, writes - 1):
        for after in (False, True) if campaign else (True,):
            lab.reset()
            assert lab.kill_at(nth, after) == -9
            lab.converge()
            assert not lab.converge()["changed"], (nth, after)
            assert (lab.duplicates(), lab.others()) == (0, before)


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
