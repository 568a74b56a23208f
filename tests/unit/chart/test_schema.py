"""The schema explains every value and refuses every other; a null is empty or named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.unit.chart.configurations import S3, TRAEFIK
from tests.unit.chart.rendering import CHART, names, refusal, render, text

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


def keys(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for key, child in schema.get("properties", {}).items():
        yield f"{path}{key}", child
        yield from keys(child, f"{path}{key}.")


def leaves(values: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the keys of values, down to where the schema leaves the form to Kubernetes."""
    for key, value in values.items():
        yield f"{path}{key}"
        child = schema.get("properties", {}).get(key, {})
        if isinstance(value, dict) and "properties" in child:
            yield from leaves(value, child, f"{path}{key}.")


@pytest.mark.parametrize(
    ("key", "schema"), list(keys(SCHEMA)), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_value_is_explained_and_closed(key: str, schema: dict[str, Any]) -> None:
    assert schema["description"].endswith((".", ")")), key
    if "properties" in schema:
        assert schema["additionalProperties"] is (key == "global"), key


def test_values_and_schema_have_the_same_keys() -> None:
    optional = {"enabled", "tracking.strategy.rollingUpdate"}
    known = {key for key, _ in keys(SCHEMA) if not key.endswith(".claims")}
    assert set(leaves(VALUES, SCHEMA)) == known - optional


def test_every_value_is_used_by_a_template() -> None:
    templates = "".join(file.read_text(encoding="utf-8") for file in (CHART / "templates").rglob("*.*"))
    names = {key.rpartition(".")[2] for key, schema in keys(SCHEMA) if "properties" not in schema}
    assert {name for name in names if name not in templates} <= {
        "requests",
        "limits",
        "claims",
        "rollingUpdate",
        "enabled",
    }


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"trakcing": {}}, "trakcing"),
        ({"tracking": {"replicas": 2}}, "replicas"),
        ({"tracking": {"resources": {"limit": {}}}}, "limit"),
        ({"tracking": {"workers": 0}}, "workers"),
        ({"tracking": {"allowedHosts": ["*"]}}, "allowedHosts"),
        ({"tracking": {"corsAllowedOrigins": ["*"]}}, "corsAllowedOrigins"),
        ({"tracking": {"corsAllowedOrigins": ["https://*"]}}, "corsAllowedOrigins"),
        ({"tracking": {"allowedHosts": ["*:*"]}}, "allowedHosts"),
        ({"tracking": {"extraEnvVars": {"A": "b"}}}, "extraEnvVars"),
        ({"storage": {"volume": {"size": "ten"}}}, "size"),
        ({"storage": {"volume": {"accessMode": "RWO"}}}, "accessMode"),
        ({"storage": {"uri": "mlflow/artifacts"}}, "uri"),
        ({"storage": {"env": {"A": 1}}}, "env"),
        ({"postgresql": {"auth": {"password": "p"}}}, "password"),
        ({"postgresql": {"auth": {"username": "a b"}}}, "username"),
        ({"postgresql": {"primary": {"persistence": {"size": "10 GB"}}}}, "size"),
        ({"externalDatabase": {"password": "p"}}, "password"),
        ({"externalDatabase": {"sslMode": "on"}}, "sslMode"),
        ({"route": {"type": "nginx"}}, "type"),
        *(
            ({"route": {"path": path}}, "path")
            for path in ("mlflow", "mlflow/", "/mlflow/", "//", "//a", "/a//b", "/a b", "")
        ),
        *(
            ({"route": {"domain": domain}}, "domain")
            for domain in ("https://a.b", "a.b:8443", "A.b", "a.b/mlflow", "*.a.b", "a.b.", "[::1]", "a b")
        ),
        ({"image": {"digest": "sha256:1"}}, "digest"),
        ({"image": {"tag": 3.17}}, "tag"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_by_name(values: dict[str, Any], named: str) -> None:
    assert named in refusal(values)


def nulls(schema: dict[str, Any], values: dict[str, Any], chosen: Callable[[dict[str, Any], Any], bool]) -> Any:
    """Return values that set each chosen key to null."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        child = schema["properties"][key]
        if chosen(child, value):
            found[key] = None
        elif "properties" in child and not key.lower().endswith("resources"):
            found[key] = nulls(child, value, chosen)
    return found


def test_empty_lists_and_mappings_may_be_null() -> None:
    values = nulls(SCHEMA, VALUES, lambda child, value: value in ({}, []) and "properties" not in child)
    assert text(values) == text({})
    everything = {"enabled": True, "source": {"configMap": None}}
    assert render({**values, "run": {**values["run"], **everything}, "serviceAccount": {"annotations": None}})


def test_defaults_that_are_lists_may_be_null() -> None:
    empty = {"ingressController": None, "storagePorts": None}
    route = {**TRAEFIK, "traefik": {**TRAEFIK["traefik"], "entryPoints": None}}
    assert render({"networkPolicy": empty, "storage": S3, "route": route})


def test_a_null_that_would_open_the_network_is_named() -> None:
    assert "dns" in refusal({"networkPolicy": {"dns": None}})


@pytest.mark.parametrize("block", [key for key in VALUES if "properties" in SCHEMA["properties"][key]])
def test_a_block_that_is_null_is_named(block: str) -> None:
    sentence = refusal({block: None})
    assert names(sentence, block)
    assert "schema" in sentence


def test_every_value_that_is_null_is_named() -> None:
    values = nulls(SCHEMA, VALUES, lambda _, value: not isinstance(value, (dict, list)) and value is not None)
    sentence = refusal(values)
    for key, _ in keys(SCHEMA):
        value: Any = VALUES
        for name in key.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, (str, int)) and "esources." not in key:
            assert names(sentence, key.rpartition(".")[2]), key


def test_quantities_of_every_form_are_accepted() -> None:
    limits = {"cpu": 1, "memory": "1500M", "ephemeral-storage": "6Gi"}
    assert render({"tracking": {"resources": {"limits": limits}}})
