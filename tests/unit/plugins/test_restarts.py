"""Which workloads still have the old values of a Secret."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.release.comparison import Comparison
from ansible_collections.nebari.mlflow.plugins.module_utils.release.manifest import Key
from ansible_collections.nebari.mlflow.plugins.module_utils.release.restarts import (
    changed_at,
    names,
    needed,
    used,
    users,
)
from ansible_collections.nebari.mlflow.plugins.module_utils.release.secrets import RENEWED

BEFORE, WHEN, AFTER = "2026-11-26T08:00:00Z", "2026-11-26T09:00:00Z", "2026-11-26T10:00:00Z"
ENVIRONMENT = {"containers": [{"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "a"}}}]}]}


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (ENVIRONMENT, {"keys"}),
        ({"initContainers": [{"envFrom": [{"secretRef": {"name": "keys"}}]}]}, {"keys"}),
        ({"volumes": [{"name": "v", "secret": {"secretName": "keys"}}]}, {"keys"}),
        ({"volumes": [{"projected": {"sources": [{"secret": {"name": "keys"}}]}}]}, {"keys"}),
        ({"imagePullSecrets": [{"name": "keys"}], "containers": [{"name": "keys"}]}, set()),
    ],
)
def test_a_pod_names_its_secrets_as_environment_or_volume(spec: dict[str, Any], found: set[str]) -> None:
    assert names({"spec": spec}) == found


def workload(kind: str = "Deployment", created: str = BEFORE, told: str = "", spec: Any = None) -> Comparison:
    item = {"spec": {"template": {"metadata": {}, "spec": ENVIRONMENT if spec is None else spec}}}
    marks = {"annotations": {RENEWED: told}} if told else {}
    live = {"metadata": {"creationTimestamp": created}, "spec": {"template": {"metadata": marks}}}
    return Comparison(Key("apps", kind, "dev", "web"), item, live if created else None, {})


@pytest.mark.parametrize(
    ("found", "restarted"),
    [
        (workload(), True),
        (workload("StatefulSet"), True),
        (workload("Job"), False),
        (workload(created=AFTER), False),
        (workload(created=""), False),
        (workload(told=BEFORE), True),
        (workload(told=WHEN), False),
        (workload(told=AFTER), False),
        (workload(spec={"containers": []}), False),
    ],
)
def test_a_workload_is_restarted_once_for_values_that_were_replaced(found: Comparison, restarted: bool) -> None:
    assert bool(needed([found], {"keys": WHEN})) is restarted
    assert not needed([found], {})
    assert not needed([found], {"others": WHEN})


def test_a_workload_of_two_replaced_secrets_is_restarted_once() -> None:
    (restart,) = needed([workload()], {"keys": WHEN, "": AFTER})
    assert restart.since == WHEN
    assert restart.change.report()["fields"] == [f"spec.template.metadata.annotations.{RENEWED}"]
    assert users([workload("Job"), workload()], "keys")[0].key.kind == "Deployment"


def managed(*entries: tuple[str, str]) -> dict[str, Any]:
    fields = [{"time": when, "fieldsV1": {part: {}}} for when, part in entries]
    return {"metadata": {"name": "keys", "managedFields": fields}}


@pytest.mark.parametrize(
    ("secret", "when"),
    [
        (managed((WHEN, "f:data")), WHEN),
        (managed((WHEN, "f:data"), (BEFORE, "f:data")), WHEN),
        (managed((BEFORE, "f:data"), (AFTER, "f:metadata")), BEFORE),  # a label changes no value
        (managed(), ""),
        ({"metadata": {"name": "keys"}}, ""),
    ],
)
def test_the_api_server_tells_when_a_value_changed(secret: dict[str, Any], when: str) -> None:
    assert changed_at(secret) == when


def test_secrets_of_others_that_workloads_use_count_too() -> None:
    foreign = workload(spec={"containers": [{"envFrom": [{"secretRef": {"name": "store"}}]}]})
    assert used([workload(), foreign, workload("Job"), workload(created="")]) == {"keys", "store"}
