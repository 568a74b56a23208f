"""What the role `server` gives to the chart and reports, computed by Ansible from the role's own variables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.nebari.mlflow.plugins.filter.mapping import chart_storage

from tests.support import ROOT, environment

ROLES = ROOT / "collections/ansible_collections/nebari/mlflow/roles"
INGRESS = {"type": "ingress", "path": "/", "externalAuthentication": True}
BLOCKS = [
    key
    for key, value in yaml.safe_load((ROLES / "server/files/mlflow/values.yaml").read_text()).items()
    if isinstance(value, dict)
]
CASES: dict[str, dict[str, Any]] = {
    "s3": {"server_storage": {"uri": "s3://bucket/artifacts", "secret": ""}},
    "gs": {"server_storage": {"uri": "gs://bucket/artifacts", "secret": ""}},
    "wasbs": {"server_storage": {"uri": "wasbs://container@account.blob.core.windows.net/artifacts", "secret": ""}},
    "keys": {"server_storage": {"uri": "s3://bucket", "secret": "keys"}},
    "volume": {"server_storage": {"uri": "/mlflow/artifacts", "secret": ""}},
    "only_a_uri": {"server_storage": {"uri": "s3://bucket/artifacts"}},
    "no_route": {"mlflow_domain": "nebari.example.org"},
    "traefik": {"mlflow_domain": "nebari.example.org", "mlflow_route": {"type": "traefik"}},
    "own_path": {"mlflow_domain": "mlflow.example.org", "mlflow_route": INGRESS},
    "own_domain": {"mlflow_route": {**INGRESS, "domain": "other.example.org"}},
    "without_tls": {"mlflow_domain": "x.org", "mlflow_route": {"type": "traefik", "tls": False}},
    "by_overrides": {"mlflow_domain": "x.org", "mlflow_overrides": {"route": {"type": "ingress", "path": "/runs/"}}},
    "json_text": {"mlflow_overrides": '{"tracking": {"workers": 3}}'},
    "empty": {"mlflow_overrides": None},
    "null_blocks": {"mlflow_domain": "x.org", "mlflow_overrides": dict.fromkeys(BLOCKS)},
    "external": {"mlflow_database": {"secret": "uri"}},
    "no_database": {"mlflow_overrides": {"postgresql": {"enabled": False}}},
    "new_password": {"mlflow_new_secrets": ["postgresql"]},
    "new_both": {"mlflow_new_secrets": ["postgresql", "keys"]},
    "new_external": {"mlflow_new_secrets": ["postgresql"], "mlflow_database": {"secret": "uri"}},
}
CLAIM = "claim/data-demo-mlflow-postgresql-0"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the chart's values and the UI's address for each case, from one run of Ansible."""
    defaults = yaml.safe_load((ROLES / "inputs/defaults/main.yml").read_text())
    names = {"mlflow_project_name": "demo", "mlflow_namespace": "dev", "role_path": str(ROLES / "server")}
    storage = {"server_storage": {"uri": "/mlflow/artifacts"}}
    tasks = [
        {
            "ansible.builtin.set_stats": {
                "data": {
                    name: {
                        "values": "{{ __server_values }}",
                        "ui_url": "{{ __server_ui_url }}",
                        "secrets": "{{ __server_secrets }}",
                        "new_secrets": "{{ __server_new_secrets }}",
                        "namespace_labels": "{{ __server_namespace_labels }}",
                    }
                }
            },
            "vars": {**storage, **given},
        }
        for name, given in CASES.items()
    ]
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {**defaults, **names},
        "vars_files": [str(ROLES / "server/vars/main.yml")],
        "tasks": tasks,
    }
    path = tmp_path_factory.mktemp("play") / "play.yml"
    path.write_text(json.dumps([play]))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    done = subprocess.run(
        [program, str(path)], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    report = json.loads(done.stdout[done.stdout.index("{\n") :])
    assert done.returncode == 0, report
    stats: dict[str, dict[str, Any]] = report["global_custom_stats"]
    return stats


@pytest.mark.parametrize(
    ("case", "patient"), [("s3", True), ("gs", True), ("wasbs", True), ("keys", False), ("volume", False)]
)
def test_only_cloud_identities_get_time_for_their_grants(
    found: dict[str, dict[str, Any]], case: str, patient: bool
) -> None:
    """Ten minutes, which the smoke test waits; with keys or a volume it would only hide a mistake for longer."""
    assert found[case]["values"].get("verify", {}).get("timeoutSeconds", 0) == (660 if patient else 0)


def test_a_storage_needs_only_its_uri(found: dict[str, dict[str, Any]]) -> None:
    assert found["only_a_uri"]["values"]["storage"] == chart_storage({"uri": "s3://bucket/artifacts"})


def test_clouds_know_the_service_account_by_its_name(found: dict[str, dict[str, Any]]) -> None:
    accounts = [case["values"]["serviceAccount"] for name, case in found.items() if name != "null_blocks"]
    assert {account["name"] for account in accounts} == {"nebari-mlflow"}


VOLUME = {"size": "5Gi", "storage_class": "nfs", "access_mode": "ReadWriteMany"}


@pytest.mark.parametrize(
    ("volume", "charted"),
    [
        ({}, {}),
        (VOLUME, {"size": "5Gi", "storageClass": "nfs", "accessMode": "ReadWriteMany"}),
        ({"size": None, "storage_class": "", "access_mode": "ReadWriteOnce"}, {"accessMode": "ReadWriteOnce"}),
    ],
    ids=["none", "whole", "empty parts"],
)
def test_the_chart_gets_a_storage_by_its_own_names(volume: dict[str, Any], charted: dict[str, Any]) -> None:
    identity = {"service_account_annotations": {"a_b": "c"}, "pod_labels": {"d_e": "f"}}
    assert chart_storage({"uri": "/data", **identity, "volume": volume}) == {
        "uri": "/data",
        "env": {},
        "secret": "",
        "serviceAccountAnnotations": {"a_b": "c"},
        "podLabels": {"d_e": "f"},
        "volume": charted,
        "network": {"metadata": []},
    }


@pytest.mark.parametrize(
    ("case", "url"),
    [
        ("volume", ""),
        ("no_route", ""),
        ("traefik", "https://nebari.example.org/mlflow"),
        ("own_path", "https://mlflow.example.org"),
        ("own_domain", "https://other.example.org"),
        ("without_tls", "http://x.org/mlflow"),
        ("by_overrides", "https://x.org/runs"),
    ],
)
def test_the_address_of_the_ui_follows_the_route(found: dict[str, dict[str, Any]], case: str, url: str) -> None:
    assert found[case]["ui_url"] == url


def test_helm_values_may_be_json_text_or_empty(found: dict[str, dict[str, Any]]) -> None:
    assert found["json_text"]["values"]["tracking"]["workers"] == 3
    assert found["empty"]["values"]["tracking"] == {"replicaCount": 1}


def test_null_block_of_helm_values_reaches_the_chart(found: dict[str, dict[str, Any]]) -> None:
    """It says which block it is; the role must not fail on it first, in words of Python."""
    values = found["null_blocks"]["values"]
    assert {name: values[name] for name in BLOCKS} == dict.fromkeys(BLOCKS)
    assert found["null_blocks"]["ui_url"] == ""


@pytest.mark.parametrize(
    ("case", "opens"),
    [
        ("empty", {"demo-mlflow-keys": CLAIM, "demo-mlflow-postgresql": CLAIM}),
        ("external", {"demo-mlflow-keys": "release"}),
        ("no_database", {"demo-mlflow-keys": "release"}),
    ],
)
def test_each_secret_is_guarded_by_the_data_that_it_opens(
    found: dict[str, dict[str, Any]], case: str, opens: dict[str, str]
) -> None:
    assert {each["name"]: each["opens"] for each in found[case]["secrets"]} == opens


@pytest.mark.parametrize(
    ("case", "asked", "accepted"),
    [
        ("empty", [], False),
        ("new_password", ["demo-mlflow-postgresql"], False),
        ("new_both", ["demo-mlflow-postgresql", "demo-mlflow-keys"], True),
        ("new_external", [], False),  # left in place, and harmless
    ],
)
def test_new_keys_come_with_consent_to_what_they_lose(
    found: dict[str, dict[str, Any]], case: str, asked: list[str], accepted: bool
) -> None:
    assert found[case]["new_secrets"] == asked
    assert found[case]["values"].get("secrets", {}).get("acceptLostKeys", False) is accepted


def test_new_namespace_warns_about_unrestricted_pods(found: dict[str, dict[str, Any]]) -> None:
    """Not enforced: notebooks may come to live there."""
    labels = found["empty"]["namespace_labels"]
    assert labels == {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("warn", "audit")}
