"""What a deploy decides to do: what is, what is wanted, and what follows. No cluster is asked."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.discovery import Resource
from ansible_collections.nebari.mlflow.plugins.module_utils.release import guards
from ansible_collections.nebari.mlflow.plugins.module_utils.release import plan as planning
from ansible_collections.nebari.mlflow.plugins.module_utils.release.comparison import Comparison
from ansible_collections.nebari.mlflow.plugins.module_utils.release.manifest import HOOK, as_applied, key
from ansible_collections.nebari.mlflow.plugins.module_utils.release.options import Options
from ansible_collections.nebari.mlflow.plugins.module_utils.release.record import Record
from ansible_collections.nebari.mlflow.plugins.module_utils.release.session import Session

CHART = {"name": "tiny", "version": "0.1.0", "appVersion": "1"}


def config(name: str, value: str = "a") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": value}}


TEST = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "test", "annotations": {HOOK: "test"}}, "spec": {}}


def record(
    revision: int, status: str, objects: list[Any], values: dict[str, Any] | None = None, phase: str = "Succeeded"
) -> Record:
    """One revision as Helm records it; `phase` is how its test ended."""
    release = {
        "version": revision,
        "info": {"status": status},
        "chart": {"metadata": CHART},
        "config": values or {},
        "manifest": yaml.safe_dump_all(objects),
        "hooks": [{"manifest": yaml.safe_dump(TEST), "events": ["test"], "last_run": {"phase": phase}}],
    }
    return Record({}, release)


def plan(
    monkeypatch: pytest.MonkeyPatch,
    records: list[Record],
    live: list[Any],
    wanted: list[Any],
    values: dict[str, Any] | None = None,
    *,
    namespace_missing: bool = False,
) -> planning.Plan:
    """Plan for a namespace that holds these revisions, newest first, and these objects."""
    options = Options("one", "dev", values=values or {})
    there = {item["metadata"]["name"]: as_applied(item, "one", "dev") for item in live}
    api = SimpleNamespace(find=lambda path: there.get(path.rpartition("/")[2]), now=lambda: datetime.now(UTC))
    discovery = SimpleNamespace(find=lambda version, kind: Resource(version, kind, f"{kind.lower()}s", True))
    found = SimpleNamespace(statuses=lambda: {each.revision: each.status for each in records})
    session = cast(
        "Session", SimpleNamespace(options=options, api=api, discovery=discovery, records=found, warnings=())
    )

    def compare(_session: Session, _old: list[Any], new: list[Any]) -> list[Comparison]:
        return [
            Comparison(key(item, "dev"), item, there.get(item["metadata"]["name"]), as_applied(item, "one", "dev"))
            for item in new
        ]

    monkeypatch.setattr(guards, "current", lambda _session, _statuses: records)
    monkeypatch.setattr(guards, "refuse", lambda *_: {})
    monkeypatch.setattr(planning, "compare", compare)
    return planning.build(session, [*wanted, TEST], CHART, namespace_missing=namespace_missing)


A, B = config("a"), config("b")
DEPLOYED = record(1, "deployed", [A])
CASES: dict[str, tuple[list[Record], list[Any], list[Any], list[str], bool]] = {
    # revisions, objects in the cluster, objects of the chart -> changes, and whether the smoke test is due
    "nothing there": ([], [], [A], ["create ConfigMap/a", "create Release/one"], True),
    "all as it should be": ([DEPLOYED], [A], [A], [], False),
    "a test that has not passed": ([record(1, "deployed", [A], phase="Failed")], [A], [A], [], True),
    "an object is gone": ([DEPLOYED], [], [A], ["create ConfigMap/a", "update Release/one"], True),
    "an object drifted": (
        [DEPLOYED],
        [config("a", "changed")],
        [A],
        ["update ConfigMap/a", "update Release/one"],
        True,
    ),
    "the chart has one object more": ([DEPLOYED], [A], [A, B], ["create ConfigMap/b", "update Release/one"], True),
    "the chart has one object less": (
        [record(1, "deployed", [A, B])],
        [A, B],
        [A],
        ["delete ConfigMap/b", "update Release/one"],
        True,
    ),
    "an object that left is gone already": ([record(1, "deployed", [A, B])], [A], [A], ["update Release/one"], True),
    "an install was killed": (
        [record(1, "pending-install", [A])],
        [],
        [A],
        ["create ConfigMap/a", "recover Release/one", "update Release/one"],
        True,
    ),
    "an upgrade was killed and left an object": (
        [record(2, "pending-upgrade", [A, B]), DEPLOYED],
        [A, B],
        [A],
        ["delete ConfigMap/b", "recover Release/one", "update Release/one"],
        True,
    ),
    "the last upgrade failed": ([record(2, "failed", [A]), DEPLOYED], [A], [A], ["update Release/one"], True),
}


@pytest.mark.parametrize("case", CASES)
def test_a_deploy_does_what_is_missing_and_nothing_more(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    records, live, wanted, changes, due = CASES[case]
    found = plan(monkeypatch, records, live, wanted)
    assert [f"{change.action} {change.kind}/{change.name}" for change in found.changes] == changes
    assert (found.writes, found.verify) == (bool(changes), due)


def test_changed_values_are_a_change_and_null_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [record(1, "deployed", [A], {"a": 1})]
    assert not plan(monkeypatch, before, [A], [A], {"a": 1, "b": None}).writes
    (change,) = plan(monkeypatch, before, [A], [A], {"a": 2}).changes
    assert (change.kind, change.fields) == ("Release", ("values.a",))


def test_a_namespace_that_is_missing_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = plan(monkeypatch, [], [], [A], namespace_missing=True)
    assert [change.kind for change in found.changes] == ["Namespace", "ConfigMap", "Release"]


def test_an_object_that_others_own_by_now_is_not_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = json.loads(json.dumps(B))
    found = plan(monkeypatch, [record(1, "deployed", [A, B])], [A], [A])
    assert [change.kind for change in found.changes] == ["Release"]
    monkeypatch.setattr(planning, "is_owned", lambda *_: False)
    found = plan(monkeypatch, [record(1, "deployed", [A, B])], [A, theirs], [A])
    assert [change.kind for change in found.changes] == ["Release"]
