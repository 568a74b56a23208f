"""Filters that complete a person's input, JSON text or a storage with few parts, and hand a storage to the chart."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = """
name: mapping
author: nebari-mlflow maintainers
version_added: 0.1.0
short_description: Read a mapping that may be JSON text or empty
description:
  - Returns the mapping itself, the mapping that a JSON text holds, or an empty mapping for nothing.
  - The same plugin file holds P(nebari.mlflow.storage#filter) and P(nebari.mlflow.chart_storage#filter).
options:
  _input:
    description: A mapping, JSON text, an empty text or nothing.
    type: raw
    required: true
"""

EXAMPLES = """
- name: Use values from the command line
  ansible.builtin.debug:
    msg: "{{ '{\\"tracking\\": {}}' | nebari.mlflow.mapping }}"
"""

RETURN = """
_value:
  description: The mapping.
  type: dict
"""

EMPTY: dict[str, Any] = {
    "uri": "",
    "env": {},
    "secret": "",
    "service_account_annotations": {},
    "pod_labels": {},
    "volume": {},
    "network": {"metadata": []},
}
CHARTED = {
    "service_account_annotations": "serviceAccountAnnotations",
    "pod_labels": "podLabels",
    "storage_class": "storageClass",
    "access_mode": "accessMode",
}
"""Names of a storage's parts, and the chart's names for them where they differ."""


def mapping(value: Any) -> dict[str, Any]:
    """Return `value` as a mapping. Its texts never stand in an error: they may be secrets.

    Raises AnsibleFilterError.
    """
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise AnsibleFilterError(f"This text is not JSON ({error}). Give a mapping, or JSON text.") from error
    if not isinstance(value, dict):
        raise AnsibleFilterError(f"This is a {type(value).__name__}. Give a mapping, or JSON text.")
    return value


def storage(value: Any) -> dict[str, Any]:
    """Return a storage in the shape that every provider role returns, with what was left out as empty."""
    given = {name: part for name, part in mapping(value).items() if part is not None}
    return {**EMPTY, **given}


def chart_storage(value: Any) -> dict[str, Any]:
    """Return a storage as values of the chart, whose defaults take the place of a volume's empty parts."""
    whole = storage(value)
    volume = {CHARTED.get(name, name): part for name, part in whole["volume"].items() if part not in (None, "")}
    return {CHARTED.get(name, name): part for name, part in {**whole, "volume": volume}.items()}


class FilterModule:
    """Ansible finds filters by this class."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"mapping": mapping, "storage": storage, "chart_storage": chart_storage}
