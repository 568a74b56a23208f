"""The table of values in the chart's README, made from the schema and the defaults.

`python -m tests.unit.chart.values_table` writes it; a test compares.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from tests.unit.chart.rendering import CHART

START = "<!-- values: made by `python -m tests.unit.chart.values_table` -->"
END = "<!-- end of values -->"


def rows(schema: dict[str, Any], values: Any, path: str = "") -> Iterator[str]:
    for key, child in schema["properties"].items():
        value = values.get(key) if isinstance(values, dict) else None
        name = f"{path}{key}"
        if "properties" in child and not name.endswith("resources"):
            yield f"| **`{name}`** | | {child['description']} |"
            yield from rows(child, value, f"{name}.")
        else:
            yield f"| `{name}` | `{json.dumps(value, ensure_ascii=False)}` | {child['description']} |"


def table() -> str:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    head = ["| Value | Default | Meaning |", "| --- | --- | --- |"]
    return "\n".join([*head, *rows(schema, values)]) + "\n"


def main() -> None:
    file = CHART / "README.md"
    text = file.read_text(encoding="utf-8")
    before, after = text[: text.index(START)], text[text.index(END) :]
    file.write_text(f"{before}{START}\n{table()}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
