"""Mappings of a configuration as mappings of variables."""

from __future__ import annotations

from typing import Any

Variables = dict[str, Any]


def prefixed(prefix: str, values: Variables) -> Variables:
    """Name values as the variables of one role are named."""
    return {f"{prefix}{name}": value for name, value in values.items()}


def filled(**variables: Any) -> Variables:
    """Leave out what is empty: a role's default says the same."""
    return {name: value for name, value in variables.items() if value not in ("", {}, [], None)}


def plain(value: Any) -> Any:
    """Copy a YAML document without the loader's own types and quoting."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
