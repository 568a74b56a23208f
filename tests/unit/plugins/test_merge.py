"""Patches and differences."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.merge import differing, patch, unmet, without_nulls


def container(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "web", "image": "x", **fields}]}


PATCHES: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "nothing before": (None, {"a": 1}, {"a": 1}),
    "the same": ({"a": 1}, {"a": 1}, {"a": 1}),
    "a field that went": ({"a": 1, "b": 2}, {"a": 1}, {"a": 1, "b": None}),
    "a field deep down": ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"b": 1, "c": None}}),
    "a map that became a value": ({"a": {"b": 1}}, {"a": 1}, {"a": 1}),
    "a list without a key": ({"args": ["x", "y"]}, {"args": ["x"]}, {"args": ["x"]}),
    "an environment variable": (
        container(env=[{"name": "A"}, {"name": "B"}]),
        container(env=[{"name": "A"}]),
        container(env=[{"name": "A"}, {"name": "B", "$patch": "delete"}]),
    ),
    "a whole list": (container(env=[{"name": "A"}]), container(), container(env=None)),
    "a container's port": (
        container(ports=[{"containerPort": 1}, {"containerPort": 2}]),
        container(ports=[{"containerPort": 2}]),
        container(ports=[{"containerPort": 2}, {"containerPort": 1, "$patch": "delete"}]),
    ),
    "a Service's port": (
        {"selector": {}, "ports": [{"port": 1}, {"port": 2}]},
        {"selector": {}, "ports": [{"port": 2}]},
        {"selector": {}, "ports": [{"port": 2}, {"port": 1, "$patch": "delete"}]},
    ),
    "a NetworkPolicy's port": (
        {"egress": [{"ports": [{"port": 1}, {"port": 2}]}]},
        {"egress": [{"ports": [{"port": 2}]}]},
        {"egress": [{"ports": [{"port": 2}]}]},
    ),
}


@pytest.mark.parametrize("case", PATCHES)
def test_strategic_patch(case: str) -> None:
    old, new, expected = PATCHES[case]
    assert patch(old, new, strategic=True) == expected


def test_a_merge_patch_replaces_lists() -> None:
    old, new = container(env=[{"name": "A"}, {"name": "B"}]), container(env=[{"name": "A"}])
    assert patch(old, new, strategic=False) == new


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b"]),
        ({"a": 1}, {}, ["a"]),
        ({"spec": container(image="x")}, {"spec": container(image="y")}, ["spec.containers[web].image"]),
        ({"l": [{"name": "a"}]}, {"l": [{"name": "a"}, {"name": "b"}]}, ["l[b]"]),
        ({"l": [{"name": "a"}, {"name": "b"}]}, {"l": [{"name": "b"}, {"name": "a"}]}, ["l"]),
        ({"l": [1, 2]}, {"l": [1]}, ["l"]),
    ],
)
def test_differing(before: Any, after: Any, paths: list[str]) -> None:
    assert differing(before, after) == paths


def test_unmet_ignores_what_is_not_asked() -> None:
    live = {"spec": {"a": 1, "default": 2, "list": [{"x": 1, "y": 2}]}}
    assert unmet({"spec": {"a": 1, "list": [{"x": 1}]}}, live) == []
    assert unmet({"spec": {"a": 2, "list": [{"x": 3}], "gone": None}}, live) == ["spec.a", "spec.list[0].x"]


def test_without_nulls() -> None:
    assert without_nulls({"a": None, "b": {"c": None, "d": 0}, "e": [{"f": None}]}) == {"b": {"d": 0}, "e": [{}]}
