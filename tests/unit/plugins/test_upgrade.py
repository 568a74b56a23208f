"""When a deploy is an upgrade of a database, and what its Jobs are made from. No cluster is asked."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.release import rollback, upgrade
from ansible_collections.nebari.mlflow.plugins.module_utils.release.comparison import Comparison
from ansible_collections.nebari.mlflow.plugins.module_utils.release.manifest import key
from ansible_collections.nebari.mlflow.plugins.module_utils.release.record import Record

SCRIPTS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one-scripts"}, "data": {"a.py": "{{ a }}"}}
VOLUMES = [
    {"name": "scripts", "projected": {"sources": [{"configMap": {"name": "one-scripts"}}, {"secret": {"name": "k"}}]}},
    {"name": "ca", "configMap": {"name": "authority"}},
    {"name": "tmp", "emptyDir": {}},
]
CRONJOB = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": "one-backup"},
    "spec": {"jobTemplate": {"spec": {"template": {"spec": {"volumes": VOLUMES}}}}},
}


def deployment(image: str, note: str = "", *, marked: bool = True) -> dict[str, Any]:
    marks = {**({upgrade.MARK: "one-backup"} if marked else {}), **({upgrade.NOTE: note} if note else {})}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "one-tracking", "uid": "u", "annotations": marks},
        "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
    }


def found(live: dict[str, Any] | None, item: dict[str, Any]) -> dict[str, Any]:
    items = [(None, SCRIPTS), (None, CRONJOB), (live, item)]
    return upgrade.find([Comparison(key(each, "dev"), each, there, each) for there, each in items])


NOTE = json.dumps({"from": "m:1", "revision": 3, "store": "database:", "schema": "b"})


@pytest.mark.parametrize(
    ("live", "wanted", "images"),
    [
        # what runs, what is wanted -> the images of the upgrade, None if it is none
        (None, deployment("m:1"), None),
        (deployment("m:1"), deployment("m:1"), None),
        (deployment("m:1"), deployment("m:2", marked=False), None),
        (deployment("m:1"), deployment("m:2"), ("m:1", "m:1", "m:2")),
        (deployment("m:1", marked=False), deployment("m:2"), ("m:1", "m:1", "m:2")),
        (deployment("m:1", NOTE), deployment("m:2"), ("m:1", "m:1", "m:2")),  # killed before the release was changed
        (deployment("m:2", NOTE), deployment("m:2"), ("m:1", "m:2", "m:2")),  # killed after it
        (deployment("m:1", NOTE), deployment("m:1"), ("m:1", "m:1", "m:1")),  # given up
        (deployment("m:1", "not json"), deployment("m:1"), None),
    ],
)
def test_a_deploy_is_an_upgrade_by_image_or_by_note(
    live: dict[str, Any] | None, wanted: dict[str, Any], images: tuple[str, str, str] | None
) -> None:
    result = found(live, wanted)
    assert (tuple(result[name] for name in ("from", "live", "to")) if result else None) == images
    assert not result or upgrade.announcement(result)


def test_jobs_have_scripts_of_the_new_version_under_own_names() -> None:
    before = copy.deepcopy((SCRIPTS, CRONJOB))
    result = found(deployment("m:1"), deployment("m:2"))
    volumes = result["cronjob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["volumes"]
    assert volumes[0]["projected"]["sources"][0]["configMap"]["name"] == "one-scripts-upgrade"
    assert volumes[1]["configMap"]["name"] == "authority"
    assert [(each["metadata"]["name"], each["data"]) for each in result["config_maps"]] == [
        ("one-scripts-upgrade", {"a.py": "{{ a }}"})
    ]
    assert before == (SCRIPTS, CRONJOB)


def record(revision: int, status: str, config: dict[str, Any]) -> Record:
    info = {"status": status}
    return Record({}, {"version": revision, "info": info, "config": config, "chart": {"metadata": {}}, "manifest": ""})


@pytest.mark.parametrize(
    ("newest", "same"),
    [
        (record(3, "deployed", {"a": 1}), True),
        (record(5, "deployed", {"a": 1}), True),  # rolled back by a run that was killed
        (record(4, "deployed", {"a": 2}), False),
        (record(4, "failed", {"a": 1}), False),
    ],
)
def test_a_rollback_that_was_done_is_not_done_again(newest: Record, same: bool) -> None:
    assert rollback.is_same(newest, record(3, "superseded", {"a": 1})) is same
