"""Write the reference pages that come from the roles' argument specifications: python docs/generate.py."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
ROLES = ROOT / "collections/ansible_collections/nebari/mlflow/roles"
PAGE = ROOT / "docs/reference/variables.md"

HEAD = """# Variables of the playbooks

The playbooks `nebari.mlflow.mlflow` and `nebari.mlflow.destroy` read these variables from every place that Ansible
knows: an inventory, group_vars, a vars file, or `-e`. Unknown `mlflow_*` variables are refused, with the nearest known
name, and so are secrets given as text. `python docs/generate.py` writes this page from the roles'
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
    for role in sorted(path.name for path in ROLES.iterdir() if path.name not in {"server", "existing", "inputs"}):
        spec = specification(role)
        title = f"## With `mlflow_provider={role}`"
        parts.append(
            "\n".join([title, "", text(spec["short_description"]) + ".", "", *head, *rows(spec["options"])]) + "\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
