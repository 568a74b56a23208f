"""A misspelt name is told, with the nearest known one; a known one never is."""

from __future__ import annotations

import json

import pytest
from ansible_collections.nebari.mlflow.plugins.filter.unknown import refused_values, unknown_keys, unknown_names
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.chart.rendering import CHART

SCHEMA = {
    "additionalProperties": False,
    "definitions": {"resources": {"type": "object"}},
    "properties": {
        "tracking": {
            "additionalProperties": False,
            "properties": {"replicaCount": {"type": "integer"}, "resources": {"$ref": "#/definitions/resources"}},
        },
        "nothing": {"additionalProperties": False},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}


def test_the_nearest_variable_is_named() -> None:
    assert unknown_names(["mlflow_domian"], ["mlflow_domain", "mlflow_provider"]) == [
        "mlflow_domian is not a known variable; did you mean mlflow_domain?"
    ]


def test_without_a_near_one_all_are_listed() -> None:
    assert unknown_names(["zzz"], ["b", "a"]) == ["zzz is not a known variable; allowed: a, b."]


@given(st.sets(st.text(min_size=1), min_size=1))
def test_a_known_variable_is_never_refused(names: set[str]) -> None:
    assert unknown_names(names, names) == []


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"trackng": {}}, "x.trackng is not a known value; did you mean tracking?"),
        ({"tracking": {"replicacount": 2}}, "x.tracking.replicacount is not a known value; did you mean replicaCount?"),
        ({"nothing": {"a": 1}}, "x.nothing.a is not a known value; nothing is allowed here."),
    ],
)
def test_a_misspelt_helm_value_is_named_with_its_path(values: dict[str, object], sentence: str) -> None:
    assert unknown_keys(values, SCHEMA, "x") == [sentence]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"tracking": {"replicaCount": 2, "resources": {"limits": {"memory": "4Gi"}}}},
        {"labels": {"anything": "goes"}},
        {"tracking": None},
        {"tracking": "a type is Helm's to check"},
    ],
)
def test_what_the_schema_leaves_free_is_free(values: dict[str, object]) -> None:
    assert unknown_keys(values, SCHEMA) == []


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"storage": {"service_account_annotations": {}}}, "did you mean serviceAccountAnnotations?"),
        ({"storage": {"pod_labels": {}}}, "did you mean podLabels?"),
        ({"storage": {"volume": {"storage_class": "a"}}}, "did you mean storageClass?"),
        ({"storage": {"volume": {"access_mode": "a"}}}, "did you mean accessMode?"),
        ({"global": {"imageRegistyr": "a"}}, "did you mean imageRegistry?"),
        ({"enabled": True}, "x.enabled is not a known value"),
        ({"fullnameOverride": "a"}, "x.fullnameOverride must be left out; the project's name is the prefix"),
        ({"nameOverride": "a"}, "x.nameOverride must be left out"),
    ],
    ids=str,
)
def test_the_playbooks_refuse_what_the_chart_leaves_to_others(values: dict[str, object], part: str) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    (sentence,) = refused_values(values, schema, "x")
    assert part in sentence
