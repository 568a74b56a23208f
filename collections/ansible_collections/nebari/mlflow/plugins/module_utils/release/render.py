# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Render the chart, and say in one sentence what is wrong with the values."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import KindMissing, RefusedInput, ReleaseError
from .helm import HelmError, patiently
from .manifest import parse

if TYPE_CHECKING:
    from ..kube.objects import Object
    from .session import Session

CORRECT = "Correct the values."
# The same two complaints in the words of Helm 3.18 and newer, and of older ones.
EXTRA = re.compile(
    r"^- (?:at '(?P<path>[^']*)': additional propert\S+ (?P<keys>'.*') not allowed"
    r"|(?P<dotted>\S+): Additional property (?P<key>\S+) is not allowed)$",
    re.M,
)
NULL = re.compile(
    r"^- (?:at '(?P<path>[^']*)': missing propert\S+ (?P<keys>'.*')|(?P<dotted>\S+): (?P<key>\S+) is required)$", re.M
)
WRONG = re.compile(r"^- (?:at '(?P<path>[^']*)': (?P<text>.+)|(?P<dotted>\S+): (?P<old>.+))$", re.M)
FAILED = re.compile(r"execution error at \([^)]*\): (?P<text>.+)", re.S)
TEMPLATE = re.compile(
    r"(?P<file>[^\s:]+\.(?:yaml|tpl)):(?P<line>\d+):\d+: executing \"[^\"]*\" at <(?P<at>[^>]*)>: "
    r"(?P<text>(?:(?!executing)[^\n])+)$",
    re.M,
)  # the innermost of a chain of includes
NO_KIND = re.compile(r'no matches for kind "(?P<kind>[^"]+)" in version "(?P<version>[^"]+)"')


def render(session: Session) -> list[Object]:
    """Return the objects and hooks that Helm would apply. Raise ReleaseError when it refuses the values."""
    try:
        return parse(patiently(session.helm.template))
    except HelmError as error:
        raise explain(error, schema(session.options.chart)) from error


def schema(chart: str) -> dict[str, Any]:
    """Return the chart's values.schema.json; {} when it has none that we can read."""
    try:
        found: dict[str, Any] = json.loads((Path(chart) / "values.schema.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def explain(error: HelmError, values_schema: dict[str, Any]) -> ReleaseError:
    """Turn Helm's complaint into a sentence that names the key, what is allowed, and the nearest right name."""
    text = error.output
    if "don't meet the specifications of the schema" in text:
        extra = [_unknown(*found, values_schema) for match in EXTRA.finditer(text) for found in _keys(match)]
        null = [_null(*found) for match in NULL.finditer(text) for found in _keys(match)]
        wrong = [
            f"{_dotted(match['path'], match['dotted'])}: {match['text'] or match['old']}"
            for match in WRONG.finditer(text)
            if not EXTRA.match(match[0]) and not NULL.match(match[0])
        ]
        return RefusedInput(f"The chart refuses the values. {'; '.join([*extra, *null, *wrong])}.", CORRECT)
    if failed := FAILED.search(text):
        return RefusedInput(f"The chart refuses the values: {failed['text'].strip()}", CORRECT)
    if kind := NO_KIND.search(text):
        return KindMissing(
            f"The chart wants to create {kind['kind']} of {kind['version']}, which the cluster does not serve.",
            "Install what provides it (its CustomResourceDefinition), or switch that part of the chart off.",
        )
    if template := TEMPLATE.search(text):
        return RefusedInput(
            f"The chart cannot be rendered with these values: {template['at']}: {template['text']} "
            f"({template['file']}, line {template['line']}).",
            CORRECT,
        )
    return ReleaseError(f"The chart cannot be rendered: {error.cause.partition(': ')[2]}")


def _keys(match: re.Match[str]) -> list[tuple[str, str]]:
    if match["key"]:
        return [(_dotted(None, match["dotted"]), match["key"])]
    return [(_dotted(match["path"], None), key) for key in re.findall(r"'([^']+)'", match["keys"])]


def _dotted(path: str | None, dotted: str | None) -> str:
    if dotted is not None:
        return "" if dotted == "(root)" else dotted
    return (path or "").strip("/").replace("/", ".")


def _null(parent: str, key: str) -> str:
    full = f"{parent}.{key}" if parent else key
    return f"{full!r} is null, which removes the chart's default: leave it out, or give a value"


def _unknown(parent: str, key: str, values_schema: dict[str, Any]) -> str:
    allowed = sorted(_properties(values_schema, parent))
    full = f"{parent}.{key}" if parent else key
    near = difflib.get_close_matches(key.lower(), [name.lower() for name in allowed], n=1, cutoff=0.6)
    meant = next((name for name in allowed if near and name.lower() == near[0]), "")
    if meant:
        return f"{full!r} is not a key of the chart, did you mean {meant!r}?"
    there = f" (allowed there: {', '.join(allowed)})" if allowed else ""
    return f"{full!r} is not a key of the chart{there}"


def _properties(values_schema: dict[str, Any], parent: str) -> dict[str, Any]:
    """The properties of one object of the schema; local references are followed."""
    node: Any = values_schema
    for step in [part for part in parent.split(".") if part]:
        node = _follow(values_schema, (node.get("properties") or {}).get(step) or {})
    return node.get("properties") or {}


def _follow(root: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while isinstance(node.get("$ref"), str) and node["$ref"].startswith("#/"):
        target: Any = root
        for step in node["$ref"][2:].split("/"):
            target = target.get(step, {})
        node = target
    return node
