"""What a command prints with `--json`, compared with the schema that is published for it.

The published schemas let later versions add fields. Here, a field that a schema does not name is a mistake.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from .support import ROOT

SCHEMAS = ROOT / "docs/reference/json"


def closed(schema: Any) -> Any:
    """Return a schema that allows no other fields than it names."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(value) for name, value in schema.items()}
    return {"additionalProperties": False, **found} if isinstance(found.get("properties"), dict) else found


@cache
def branches(kind: str) -> dict[bool, Draft202012Validator]:
    """Return what checks the document of a command, and what checks its error (True)."""
    schema = closed(json.loads((SCHEMAS / f"{kind}.json").read_text(encoding="utf-8")))
    Draft202012Validator.check_schema(schema)
    return {
        each["$ref"].endswith("/Failure"): Draft202012Validator({**each, "$defs": schema["$defs"]})
        for each in schema["oneOf"]
    }


def document(text: str, kind: str = "") -> dict[str, Any]:
    """Return the object that a command printed. It must be as its schema says, and of the kind if one is given."""
    found: dict[str, Any] = json.loads(text)
    told = found["type"].removeprefix("nebari-mlflow.")
    assert kind in ("", told), found
    wrong = best_match(branches(told)["error" in found].iter_errors(found))
    assert wrong is None, f"{told}.json: {wrong.json_path}: {wrong.message}"
    return found
