"""Write what is said in one place to every place that shows it: python docs/generate.py.

The page of variables comes from the roles' argument specifications. The descriptions of the chart's values.schema.json
and the table of its README come from the comments of its values.yaml.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
ROLES = ROOT / "collections/ansible_collections/nebari/mlflow/roles"
PAGE = ROOT / "docs/reference/variables.md"
CHART = ROLES / "server/files/mlflow"
README = CHART / "README.md"
SCHEMA = CHART / "values.schema.json"
VALUES = CHART / "values.yaml"
START = "<!-- values: `python docs/generate.py` writes this table from values.yaml -->"
END = "<!-- end of values -->"

HEAD = """# Variables of the playbooks

The playbooks `nebari.mlflow.mlflow`, `.destroy`, `.backup` and `.restore` read these variables from every place that
Ansible knows: an inventory, group_vars, a vars file, or `-e`. Unknown `mlflow_*` variables are refused, with the
nearest known name, and so are secrets given as text. `python docs/generate.py` writes this page from the roles'
`meta/argument_specs.yml`.

Ansible evaluates `{{ }}` in these values, also for `nebari-mlflow --vars FILE`. Write `!unsafe` in front of a text that
must reach the cluster unchanged, such as an annotation with another program's template. Read a vars file before you use
it: its templates run programs on your machine, as a playbook does.

Five variables have short names for the command line: `provider`, `project_name`, `namespace`, `domain` and
`delete_data`. The long names win. Ansible warns that `namespace` is a reserved name, so prefer `mlflow_namespace`.

On a cloud, the role `inputs` asks the cluster for region, OIDC issuer, project, subscription, resource group and
cluster name. Variables that you set win over what the cluster says.
"""


def text(description: str | list[str]) -> str:
    """Return a description in Markdown instead of Ansible's markup."""
    joined = " ".join([description] if isinstance(description, str) else description)
    return re.sub(r"\b[CVOM]\(([^()]*)\)", r"`\1`", joined)


def specification(role: str) -> dict[str, Any]:
    """Return a role's main entry point."""
    found: dict[str, Any] = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text())["argument_specs"]
    main: dict[str, Any] = found["main"]
    return main


def shown(option: dict[str, Any]) -> str:
    """Return a default as YAML writes it."""
    empty: Any = {"dict": {}, "list": [], "raw": {}}.get(option["type"], "")
    return f"`{json.dumps(option.get('default', empty))}`"


def rows(options: dict[str, Any], prefix: str = "") -> list[str]:
    """Return a table row for each option and its sub-options."""
    found: list[str] = []
    for name, option in options.items():
        default = "required" if option.get("required") else shown(option)
        choices = [f"`{choice}`" for choice in option.get("choices", []) if choice]
        allowed = f" One of {', '.join(choices)}." if choices else ""
        kind = {"raw": "dict"}.get(option["type"], option["type"])
        found.append(f"| `{prefix}{name}` | {kind} | {default} | {text(option['description'])}{allowed} |")
        found += rows(option.get("options", {}), f"{prefix}{name}.")
    return found


def page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    head = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    common = specification("inputs")
    parts.append("\n".join(["## Everywhere", "", *head, *rows(common["options"])]) + "\n")
    for role in sorted(
        path.name for path in ROLES.iterdir() if path.name not in {"adopt", "backup", "server", "existing", "inputs"}
    ):
        spec = specification(role)
        title = f"## With `mlflow_provider={role}`"
        parts.append(
            "\n".join([title, "", text(spec["short_description"]) + ".", "", *head, *rows(spec["options"])]) + "\n"
        )
    return "\n".join(parts)


def comments(node: yaml.Node | None, lines: list[str], path: tuple[str, ...] = ()) -> Iterator[tuple[Any, str]]:
    """Yield the path of each key that has a comment `# -- text` above it, and the text."""
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        above: list[str] = []
        for line in reversed(lines[: key.start_mark.line]):
            if not line.lstrip().startswith("#"):
                break
            above.insert(0, line.strip().removeprefix("#").strip())
            if above[0].startswith("-- "):
                yield (*path, key.value), " ".join(above).removeprefix("-- ")
                break
        yield from comments(value, lines, (*path, key.value))


def needed(schema: dict[str, Any], values: dict[str, Any]) -> None:
    """Require what no template can do without, so that Helm names a key that is set to null."""
    required = []
    for name, value in values.items():
        child = schema["properties"][name]
        free = isinstance(value, (dict, list)) and "properties" not in child and "minItems" not in child
        if value is not None and not free:
            required.append(name)
        if "properties" in child and not name.lower().endswith("resources"):
            needed(child, value)
    properties = schema.pop("properties")
    schema.update(required=required, properties=properties)


def chart_schema() -> str:
    """Return the schema of the chart's values with the descriptions of values.yaml."""
    schema: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    written = VALUES.read_text(encoding="utf-8")
    for path, description in comments(yaml.compose(written), written.splitlines()):
        node = schema
        for name in path:
            node = node["properties"][name]
        node["description"] = description
    needed(schema, yaml.safe_load(written))
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def value_rows(schema: dict[str, Any], values: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield a table row for each value of the chart."""
    for key, child in schema["properties"].items():
        name = f"{path}{key}"
        if "properties" in child and not key.lower().endswith("resources"):
            yield f"| **`{name}`** | | {child['description']} |"
            yield from value_rows(child, values[key], f"{name}.")
        else:
            default = f"`{json.dumps(values[key], ensure_ascii=False)}` " if key in values else ""
            yield f"| `{name}` | {default}| {child['description']} |"


def chart_readme() -> str:
    """Return the chart's README with the table of its values."""
    written = README.read_text(encoding="utf-8")
    rows = value_rows(json.loads(chart_schema()), yaml.safe_load(VALUES.read_text(encoding="utf-8")))
    table = "\n".join(["| Value | Default | Meaning |", "| --- | --- | --- |", *rows])
    return f"{written[: written.index(START)]}{START}\n{table}\n{written[written.index(END) :]}"


if __name__ == "__main__":
    PAGE.write_text(page())
    SCHEMA.write_text(chart_schema(), encoding="utf-8")
    README.write_text(chart_readme(), encoding="utf-8")
