"""Filters that find what nobody would read: a misspelt variable, a misspelt Helm value.

They run inside the playbook's own process, so a check costs no module run.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

DOCUMENTATION = """
name: unknown_names
author: nebari-mlflow maintainers
version_added: 0.1.0
short_description: Sentences about names that are not among the known ones
description:
  - Returns one sentence for each name that is not known, with the nearest known one; an empty list when all are.
  - The same plugin file holds P(nebari.mlflow.unknown_keys#filter) and P(nebari.mlflow.refused_values#filter).
options:
  _input:
    description: The names in use.
    type: list
    elements: str
    required: true
  known:
    description: The names that mean something.
    type: list
    elements: str
    required: true
"""

EXAMPLES = """
- name: Look for unknown variables
  ansible.builtin.debug:
    msg: "{{ ['mlflow_domian'] | nebari.mlflow.unknown_names(['mlflow_domain']) }}"
"""

RETURN = """
_value:
  description: One sentence for each unknown name.
  type: list
  elements: str
"""


def _hint(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, or list them all."""
    allowed = sorted(known)
    near = difflib.get_close_matches(name, allowed, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"allowed: {', '.join(allowed)}." if allowed else "nothing is allowed here."


def unknown_names(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return a sentence for each name that is not known."""
    allowed = set(known)
    return [f"{name} is not a known variable; {_hint(name, allowed)}" for name in sorted(set(names) - allowed)]


def _resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a local reference, the only kind that the chart's schema has."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    node: Any = root
    for part in str(reference).removeprefix("#/").split("/"):
        node = node[part]
    return _resolve(node, root)


def unknown_keys(
    values: Any, schema: Mapping[str, Any], where: str = "", root: Mapping[str, Any] | None = None
) -> list[str]:
    """Return a sentence for each key that a JSON schema with `additionalProperties: false` refuses.

    Types and ranges are Helm's to check: it reads the same schema before it changes anything.
    """
    root = schema if root is None else root
    schema = _resolve(schema, root)
    properties: Mapping[str, Any] = schema.get("properties", {})
    if not isinstance(values, Mapping) or (not properties and schema.get("additionalProperties") is not False):
        return []
    errors: list[str] = []
    for key, value in values.items():
        path = f"{where}.{key}" if where else str(key)
        if key in properties:
            errors += unknown_keys(value, properties[key], path, root)
        elif schema.get("additionalProperties") is False:
            errors.append(f"{path} is not a known value; {_hint(str(key), properties)}")
    return errors


NAMES_OBJECTS = ("nameOverride", "fullnameOverride")
PARENTS = ("enabled", *NAMES_OBJECTS)
"""Values for releases that another chart or a person installs."""


def refused_values(values: Any, schema: Mapping[str, Any], where: str) -> list[str]:
    """Return a sentence for each Helm value that a release of the playbooks does not take.

    The schema lets parent charts put anything into `global`, and lets them name objects.
    """
    properties = {name: child for name, child in schema["properties"].items() if name not in PARENTS}
    properties["global"] = {**properties["global"], "additionalProperties": False}
    given = values if isinstance(values, Mapping) else {}
    named = [
        f"{where}.{name} must be left out; the project's name is the prefix of every object's name."
        for name in NAMES_OBJECTS
        if name in given
    ]
    rest = {name: value for name, value in given.items() if name not in NAMES_OBJECTS}
    return named + unknown_keys(rest, {**schema, "properties": properties}, where)


class FilterModule:
    """What Ansible looks for in a filter plugin's file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters by name."""
        return {"unknown_names": unknown_names, "unknown_keys": unknown_keys, "refused_values": refused_values}
