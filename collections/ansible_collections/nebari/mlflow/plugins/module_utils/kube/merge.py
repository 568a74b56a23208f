# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Patches from one manifest to the next, and the paths of the fields in which two objects differ."""

from __future__ import annotations

from typing import Any

# Lists that a strategic merge patch matches by a key; all others are replaced whole. From the
# `x-kubernetes-patch-merge-key` marks of Kubernetes' OpenAPI document.
MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}
FIELDS_SHOWN = 12


def patch(old: Any, new: dict[str, Any], *, strategic: bool) -> dict[str, Any]:
    """Return `new` plus orders to remove what `old` set and `new` no longer does.

    Without those orders a field that was taken out of a chart would stay in the cluster, as patches only add.
    """
    result = dict(new)
    for name, before in (old or {}).items():
        after = new.get(name)
        if after is None:
            result[name] = None
        elif isinstance(before, dict) and isinstance(after, dict):
            result[name] = patch(before, after, strategic=strategic)
        elif strategic and isinstance(before, list) and isinstance(after, list):
            result[name] = _patch_list(before, after, _merge_key(name, new))
    return result


def _merge_key(name: str, parent: dict[str, Any]) -> str:
    if name == "ports":
        return "containerPort" if "image" in parent else "port" if "selector" in parent else ""
    return MERGE_KEYS.get(name, "")


def _patch_list(before: list[Any], after: list[Any], merge_key: str) -> list[Any]:
    if not merge_key or not all(isinstance(item, dict) and merge_key in item for item in [*before, *after]):
        return after
    old = {item[merge_key]: item for item in before}
    kept = {item[merge_key] for item in after}
    gone = [{merge_key: value, "$patch": "delete"} for value in old if value not in kept]
    return [patch(old.get(item[merge_key]), item, strategic=True) for item in after] + gone


def differing(before: Any, after: Any, prefix: str = "") -> list[str]:
    """Return the dotted paths in which two objects differ; list items by their `name`, if they have one."""
    if isinstance(before, dict) and isinstance(after, dict):
        paths = []
        for name in sorted({*before, *after}, key=str):
            if before.get(name) != after.get(name):
                paths += differing(before.get(name), after.get(name), f"{prefix}.{name}" if prefix else str(name))
        return paths
    if isinstance(before, list) and isinstance(after, list):
        names_before, names_after = _names(before), _names(after)
        if names_before is not None and names_after is not None:
            named = differing(names_before, names_after)
            return [f"{prefix}[{_first(path)}]{path[len(_first(path)) :]}" for path in named] or [prefix]
    return [prefix]


def _names(items: list[Any]) -> dict[str, Any] | None:
    if items and all(isinstance(item, dict) and "name" in item for item in items):
        return {str(item["name"]): item for item in items}
    return None if items else {}


def _first(path: str) -> str:
    return path.partition(".")[0]


def unmet(wanted: Any, live: Any, prefix: str = "") -> list[str]:
    """Return the paths that a manifest sets and a live object lacks. The API server's defaults do not count."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        names = [name for name in wanted if wanted[name] is not None]
        return [path for name in names for path in unmet(wanted[name], live.get(name), f"{prefix}.{name}".lstrip("."))]
    if isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        pairs = enumerate(zip(wanted, live, strict=True))
        return [path for index, (one, other) in pairs for path in unmet(one, other, f"{prefix}[{index}]")]
    return [] if wanted == live else [prefix]


def without_nulls(value: Any) -> Any:
    """Values as Helm keeps them: a null says `not set`, and is not told from a missing key."""
    if isinstance(value, dict):
        return {str(name): without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
