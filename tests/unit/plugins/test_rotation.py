"""Values are replaced in steps, and a pod of any step opens what a pod of the next one writes."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.filter.report import rotated
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ForeignObject, LostSecret, ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.release import rotation
from ansible_collections.nebari.mlflow.plugins.module_utils.release.comparison import Comparison
from ansible_collections.nebari.mlflow.plugins.module_utils.release.manifest import Key
from ansible_collections.nebari.mlflow.plugins.module_utils.release.options import SecretSpec
from ansible_collections.nebari.mlflow.plugins.module_utils.release.restarted import is_old, stops_first
from ansible_collections.nebari.mlflow.plugins.module_utils.release.restarts import INFORMED, needed
from ansible_collections.nebari.mlflow.plugins.module_utils.release.secrets import RENEWED

NOW, LATER = "2026-11-26T09:00:00Z", "2026-11-26T10:00:00Z"
SPEC = SecretSpec("one-keys", {"data": "alphanumeric", "form": "fernet"}, both=["data"])
OURS = {"app.kubernetes.io/managed-by": "nebari-mlflow", "app.kubernetes.io/instance": "one"}


def secret(state: str = "", **data: str) -> dict[str, Any]:
    marks = {"annotations": {rotation.ROTATION: state}} if state else {}
    values = {name.replace("__", "."): value for name, value in {"data": "old", "form": "f", **data}.items()}
    return {"metadata": {"name": "one-keys", "labels": OURS, **marks}, "data": values}


def walk(live: dict[str, Any]) -> list[dict[str, Any]]:
    """Take every step that there is to take, as a run does."""
    found = [live]
    for step in rotation.STEPS.values():
        wanted = step(SPEC, found[-1])
        if wanted is not None:
            found.append(rotation._after(found[-1], wanted))
    return found


@pytest.mark.parametrize(
    ("live", "states"),
    [
        (secret(), ["", "announced", "swapped", ""]),
        (secret("announced", other__data="next"), ["announced", "swapped", ""]),
        (secret("announced"), ["announced", "announced", "swapped", ""]),  # somebody removed the next value
        (secret("swapped", data="new", other__data="old"), ["swapped", ""]),
    ],
)
def test_a_run_goes_on_where_the_one_before_was_killed(live: dict[str, Any], states: list[str]) -> None:
    steps = walk(live)
    assert [rotation.state_of(each) for each in steps] == states
    assert set(steps[-1]["data"]) == {"data", "form"}
    assert steps[-1]["data"]["data"] not in ("", "old")
    assert steps[-1]["metadata"]["annotations"] == {}


def test_pods_of_two_steps_open_what_each_other_writes() -> None:
    for one, other in pairwise(walk(secret())[:3]):
        known = [{each["data"]["data"], each["data"].get("other.data")} for each in (one, other)]
        assert one["data"]["data"] in known[1]
        assert other["data"]["data"] in known[0]


def test_what_protects_no_data_changes_with_the_second_step() -> None:
    before, told, used, after = walk(secret())
    assert before["data"]["form"] == told["data"]["form"] != used["data"]["form"] == after["data"]["form"]


def user(kind: str = "Deployment", key: str = "other.data", **annotations: str) -> Comparison:
    entry = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "one-keys", "key": key}}}
    template = {"metadata": {}, "spec": {"containers": [{"name": "c", "env": [entry, {"name": "B", "value": "b"}]}]}}
    live = {
        "metadata": {"creationTimestamp": "2026-11-01T00:00:00Z", "annotations": annotations},
        "spec": {"template": template},
    }
    return Comparison(Key("apps", kind, "dev", "web"), {"spec": {"template": template}}, live, live)


SESSION: Any = SimpleNamespace(options=SimpleNamespace(name="one", namespace="dev"))


@pytest.mark.parametrize(
    ("live", "users", "error", "word"),
    [
        (None, [user()], LostSecret, "missing or incomplete"),
        (secret(form=""), [user()], LostSecret, "missing or incomplete"),
        ({**secret(), "metadata": {"name": "one-keys"}}, [user()], ForeignObject, "belong to others"),
        ({**secret(), "immutable": True}, [user()], ForeignObject, "belong to others"),
        (secret(), [], ForeignObject, "belong to others"),  # the release's values name another Secret
        (secret(), [user(key="data")], ReleaseError, "by a version that cannot rotate"),
    ],
)
def test_what_is_not_ours_or_not_prepared_is_refused(
    live: Any, users: list[Comparison], error: type[ReleaseError], word: str
) -> None:
    with pytest.raises(error) as refused:
        rotation.refuse(SESSION, SPEC, live, users)
    assert word in refused.value.cause
    assert refused.value.fix


def test_a_release_that_knows_two_values_is_rotated() -> None:
    rotation.refuse(SESSION, SPEC, secret(), [user("StatefulSet", "data"), user()])


@pytest.mark.parametrize("known", ["", NOW, LATER])
def test_what_knows_the_values_already_is_not_restarted(known: str) -> None:
    assert bool(needed([user(**{INFORMED: known})], {"one-keys": LATER})) is (known != LATER)


@pytest.mark.parametrize(
    ("created", "told", "old"),
    [
        (NOW, "", True),  # of the same second: nobody knows which came first
        (LATER, "", False),
        ("2026-11-26T08:00:00Z", "", True),
        ("2026-11-26T08:00:00Z", "2026-11-26T08:30:00Z", True),
        (NOW, NOW, False),
        (NOW, LATER, False),
    ],
)
def test_a_pod_from_before_a_change_is_old(created: str, told: str, old: bool) -> None:
    pod = {"metadata": {"creationTimestamp": created, "annotations": {RENEWED: told} if told else {}}}
    assert is_old(pod, NOW) is old


def test_only_recreate_stops_all_pods_first() -> None:
    assert stops_first({"spec": {"strategy": {"type": "Recreate"}}})
    assert not stops_first({"spec": {"strategy": {"type": "RollingUpdate"}}})
    assert not stops_first({"spec": {}})  # a DaemonSet


def test_the_end_names_keys_and_never_values() -> None:
    change = {"action": "update", "kind": "Secret", "name": "one-keys", "fields": ["data.data", "data.other.data"]}
    restart = {"action": "update", "kind": "Deployment", "name": "one-tracking", "fields": []}
    facts = {"secrets": ["one-keys"], "changes": [change, restart], "database": {"passwords": 2, "webhooks": 0}}
    assert rotated(facts) == [
        "rotated: Secret one-keys (data)",
        "in the database: 2 passwords set",
        "next: make a backup: nebari-mlflow backup",
    ]
    assert rotated(facts, check=True)[-1] == "would be restarted: one-tracking"
