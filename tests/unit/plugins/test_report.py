"""What a person reads at the end of a playbook, and the inputs that filters complete."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.nebari.mlflow.plugins.filter.mapping import EMPTY, mapping, storage
from ansible_collections.nebari.mlflow.plugins.filter.report import deployed, removed

FACTS: dict[str, Any] = {
    "tracking_uri": "http://demo-mlflow-tracking.dev.svc:5000",
    "ui_url": "https://nebari.example.org/mlflow",
    "access": "users",
    "artifact_uri": "/mlflow/artifacts",
    "service": {"name": "demo-mlflow-tracking", "namespace": "dev", "port": 5000},
    "release": {"name": "demo-mlflow", "namespace": "dev", "revision": 1},
    "versions": {"mlflow": "3.17.2", "chart": "0.1.0"},
    "verified": True,
    "changes": [{"action": "create", "kind": "Deployment", "name": "demo-mlflow-tracking"}],
}
CLAIM = {"kind": "PersistentVolumeClaim", "name": "demo-mlflow-artifacts", "namespace": "dev"}


def test_deploy_ends_with_addresses_version_changes_and_next_command() -> None:
    said = "\n".join(deployed(FACTS))
    for word in (
        "MLflow 3.17.2 is deployed and tested",
        "access: users: every request needs",
        "http://demo-mlflow-tracking.dev.svc:5000",
        "https://nebari.example.org/mlflow",
        "created: Deployment demo-mlflow-tracking",
        "next: open https://nebari.example.org/mlflow",
    ):
        assert word in said
    assert "next: kubectl port-forward -n dev svc/demo-mlflow-tracking 5000" in deployed({**FACTS, "ui_url": ""})[-1]


def test_check_predicts_changes_and_idle_deploy_reports_none() -> None:
    assert "would be created: Deployment demo-mlflow-tracking" in deployed(FACTS, check=True)
    assert "nothing changed" in deployed({**FACTS, "changes": []})
    assert "nothing would change" in deployed({**FACTS, "changes": []}, check=True)


def test_removal_reports_what_goes_and_stays_and_how_to_delete() -> None:
    facts = {
        "release": FACTS["release"],
        "changes": [{"action": "delete", "kind": "Release", "name": "demo-mlflow"}],
        "kept": [CLAIM],
    }
    assert removed(facts, "demo", check=True)[0] == "would be deleted: Release demo-mlflow"
    said = removed(facts, "demo")
    assert said[0] == "deleted: Release demo-mlflow"
    assert "stays: PersistentVolumeClaim demo-mlflow-artifacts" in said
    assert "mlflow_delete_data=demo" in said[-1]
    shared = {"kind": "S3 bucket", "name": "b", "reason": "it also holds theirs/x"}
    assert removed({**facts, "kept": [shared]}, "demo")[-1] == "stays: S3 bucket b (it also holds theirs/x)"
    assert "nothing to remove" in removed({**facts, "changes": [], "kept": []}, "demo")[0]


@pytest.mark.parametrize(
    ("given", "expected"), [({"a": 1}, {"a": 1}), ('{"a": 1}', {"a": 1}), ("", {}), (None, {}), ("{}", {})]
)
def test_a_mapping_may_be_json_text_or_empty(given: Any, expected: dict[str, Any]) -> None:
    assert mapping(given) == expected


@pytest.mark.parametrize("given", ["a=b", "[1]", ["a"], 3, '{"password": "s3cr3t",}'])
def test_what_is_no_mapping_is_refused_without_its_text(given: Any) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        mapping(given)
    assert "s3cr3t" not in str(caught.value)


def test_a_storage_is_completed() -> None:
    assert storage({"uri": "s3://bucket", "env": None}) == {**EMPTY, "uri": "s3://bucket"}
    assert storage(storage({"uri": "s3://bucket"})) == storage({"uri": "s3://bucket"})
