"""What the role `server` gives to the chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLE = Path(__file__).parents[2] / "collections/ansible_collections/nebari/mlflow/roles/server"


def values(storage: dict[str, Any]) -> Any:
    variables = yaml.safe_load((ROLE / "vars/main.yml").read_text())
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    given = {"mlflow_project_name": "demo", "mlflow_namespace": "dev", "role_path": str(ROLE)}
    templates = {
        name: trust_as_template(value) if isinstance(value, str) else value
        for name, value in {**defaults, **variables}.items()
    }
    return Templar(DataLoader(), {**templates, **given, "server_storage": storage}).template(
        trust_as_template("{{ __server_values }}")
    )


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
