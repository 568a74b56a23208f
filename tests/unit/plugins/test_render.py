"""Helm's complaints about values, as Helm 3.19 and 3.15 write them."""

from __future__ import annotations

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.release.helm import HelmError
from ansible_collections.nebari.mlflow.plugins.module_utils.release.render import explain

SCHEMA = {
    "properties": {
        "tracking": {"properties": {"replicaCount": {}, "resources": {}}},
        "storage": {"$ref": "#/$defs/storage"},
    },
    "$defs": {"storage": {"properties": {"uri": {}, "volume": {}}}},
}
HEAD = "Error: values don't meet the specifications of the schema(s) in the following chart(s):\nmlflow:\n"
NEW = (
    HEAD
    + "- at '/tracking': additional properties 'replicaCout', 'zzz' not allowed\n"
    + "- at '/storage/uri': got number, want string\n"
)
OLD = (
    HEAD
    + "- tracking: Additional property replicaCout is not allowed\n"
    + "- tracking: Additional property zzz is not allowed\n"
    + "- storage.uri: Invalid type. Expected: string, given: integer\n"
)
NESTED = (
    'Error: template: mlflow/templates/pvc.yaml:1:7: executing "mlflow/templates/pvc.yaml" at <include "x" .>: '
    'error calling include: template: mlflow/templates/_v.tpl:3:34: executing "x" at <.Values.storage.uri>: '
    "wrong type for value; expected string; got float64\n"
)


@pytest.mark.parametrize("output", [NEW, OLD])
def test_schema(output: str) -> None:
    message = str(explain(HelmError("template", output), SCHEMA))
    assert "'tracking.replicaCout' is not a key of the chart, did you mean 'replicaCount'?" in message
    assert "'tracking.zzz' is not a key of the chart (allowed there: replicaCount, resources)" in message
    assert "storage.uri: " in message
    assert message.count("replicaCout") == 1


def test_a_key_at_the_top_and_one_below_a_reference() -> None:
    output = (
        HEAD
        + "- at '': additional properties 'storge' not allowed\n"
        + "- at '/storage': additional properties 'url' not allowed\n"
    )
    message = str(explain(HelmError("template", output), SCHEMA))
    assert "'storge' is not a key of the chart, did you mean 'storage'?" in message
    assert "'storage.url' is not a key of the chart, did you mean 'uri'?" in message


@pytest.mark.parametrize(
    "output",
    [
        HEAD + "- at '': missing property 'tracking'\n- at '/storage': missing properties 'uri', 'env'\n",
        HEAD + "- (root): tracking is required\n- storage: uri is required\n- storage: env is required\n",
    ],
)
def test_a_null_is_called_by_its_name(output: str) -> None:
    message = str(explain(HelmError("template", output), SCHEMA))
    for key in ("tracking", "storage.uri", "storage.env"):
        assert message.count(f"'{key}' is null, which removes the chart's default") == 1
    assert "missing" not in message
    assert "required" not in message


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (
            NESTED,
            ".Values.storage.uri: wrong type for value; expected string; got float64 (mlflow/templates/_v.tpl, line 3)",
        ),
        (
            "Error: execution error at (mlflow/templates/c.yaml:3:4): tracking.replicaCount needs RWX.",
            "replicaCount needs RWX.",
        ),
        ('Error: unable to build: no matches for kind "W" in version "e.org/v1"\nensure CRDs', "W of e.org/v1"),
        ("Error: something new", "something new"),
    ],
)
def test_other_complaints(output: str, words: str) -> None:
    assert words in str(explain(HelmError("template", output), SCHEMA))
