"""What the role `server` gives to the chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLE = Path(__file__).parents[2] / "collections/ansible_collections/nebari/mlflow/roles/server"


def trusted(value: Any) -> Any:
    """Mark every text as a template, as Ansible does when it reads a role's files."""
    if isinstance(value, dict):
        return {name: trusted(item) for name, item in value.items()}
    if isinstance(value, list):
        return [trusted(item) for item in value]
    return trust_as_template(value) if isinstance(value, str) else value


def values(storage: dict[str, Any]) -> Any:
    return variable("__server_values", server_storage=storage)


def variable(name: str, **given: Any) -> Any:
    """Return a variable of the role, with these inputs."""
    variables = yaml.safe_load((ROLE / "vars/main.yml").read_text())
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    needed = {"mlflow_project_name": "demo", "mlflow_namespace": "dev", "role_path": str(ROLE)}
    templates = trusted({**defaults, **variables})
    return Templar(DataLoader(), {**templates, **needed, **given}).template(trust_as_template(f"{{{{ {name} }}}}"))


@pytest.mark.parametrize(
    ("uri", "secret", "patient"),
    [
        ("s3://bucket/artifacts", "", True),
        ("gs://bucket/artifacts", "", True),
        ("wasbs://container@account.blob.core.windows.net/artifacts", "", True),
        ("s3://bucket", "keys", False),
        ("/mlflow/artifacts", "", False),
    ],
)
def test_only_a_clouds_identity_gets_the_time_that_its_grants_need(uri: str, secret: str, patient: bool) -> None:
    """Ten minutes, which the verification waits for; with keys or a volume it would only hide a mistake for longer."""
    found = values({"uri": uri, "secret": secret})
    assert found.get("verify", {}).get("timeoutSeconds", 0) == (660 if patient else 0)


CLAIM = "claim/data-demo-mlflow-postgresql-0"
EXTERNAL = {"mlflow_database": {"secret": "uri"}}


@pytest.mark.parametrize(
    ("given", "opens"),
    [
        ({}, {"demo-mlflow-keys": CLAIM, "demo-mlflow-postgresql": CLAIM}),
        (EXTERNAL, {"demo-mlflow-keys": "release"}),
        (
            {"mlflow_overrides": {"postgresql": {"enabled": False}}},
            {"demo-mlflow-keys": "release", "demo-mlflow-postgresql": CLAIM},
        ),
    ],
)
def test_each_secret_is_guarded_by_the_data_that_it_opens(given: dict[str, Any], opens: dict[str, str]) -> None:
    assert {each["name"]: each["opens"] for each in variable("__server_secrets", **given)} == opens


@pytest.mark.parametrize(
    ("given", "asked", "accepted"),
    [
        ({}, [], False),
        ({"mlflow_new_secrets": ["postgresql"]}, ["demo-mlflow-postgresql"], False),
        ({"mlflow_new_secrets": ["postgresql", "keys"]}, ["demo-mlflow-postgresql", "demo-mlflow-keys"], True),
        ({"mlflow_new_secrets": ["postgresql"], **EXTERNAL}, [], False),  # left in place, and harmless
    ],
)
def test_new_keys_come_with_consent_to_what_they_lose(given: dict[str, Any], asked: list[str], accepted: bool) -> None:
    assert variable("__server_new_secrets", **given) == asked
    found = variable("__server_values", server_storage={"uri": "/mlflow/artifacts", "secret": ""}, **given)
    assert found.get("secrets", {}).get("acceptLostKeys", False) is accepted


def test_a_new_namespace_is_watched_for_pods_that_are_not_restricted() -> None:
    """Not enforced: notebooks may come to live there."""
    labels = variable("__server_namespace_labels")
    assert labels == {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("warn", "audit")}
