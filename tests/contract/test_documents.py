"""Every command has a published schema, and what compares output with it finds each kind of mistake."""

from __future__ import annotations

import json
from typing import Any

import click
import pytest
import typer

from nebari_mlflow.cli.app import app
from nebari_mlflow.cli.documents import DOCUMENTS
from nebari_mlflow.cli.options import SHAPE
from tests.documents import SCHEMAS, document

PLAN: dict[str, Any] = {
    "type": "nebari-mlflow.plan",
    "version": SHAPE,
    "changes": [{"action": "update", "kind": "Deployment", "name": "demo-mlflow-tracking", "namespace": "dev"}],
    "changed": True,
    "warnings": [],
}
ERROR = {"type": "nebari-mlflow.plan", "version": SHAPE, "error": {"code": "NML402", "cause": "x", "page": "/p"}}


def test_every_command_has_a_schema() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group)
    assert set(group.commands) == set(DOCUMENTS)
    assert {path.stem for path in SCHEMAS.iterdir()} == {*DOCUMENTS, "error"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "2.0"}, "$.version"),
        ({"changed": "yes"}, "$.changed"),
        ({"more": 1}, "'more' was unexpected"),
        ({"changes": [{"action": "update", "kind": "Deployment"}]}, "'name' is a required property"),
        ({"changes": [{**PLAN["changes"][0], "action": "rename"}]}, "$.changes[0].action"),
        ({"changes": [{**PLAN["changes"][0], "uid": "x"}]}, "'uid' was unexpected"),
        ({"warnings": None}, "$.warnings"),
    ],
)
def test_output_that_differs_from_its_schema_is_found(change: dict[str, Any], said: str) -> None:
    assert document(json.dumps(PLAN)) == PLAN
    assert document(json.dumps(ERROR), "plan") == ERROR
    with pytest.raises(AssertionError) as caught:
        document(json.dumps({**PLAN, **change}))
    assert said in str(caught.value)


def test_schemas_allow_fields_of_later_versions() -> None:
    """A minor version adds fields, and who validates with an older schema must not fail."""
    assert all('additionalProperties": false' not in path.read_text(encoding="utf-8") for path in SCHEMAS.iterdir())
