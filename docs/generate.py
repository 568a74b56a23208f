"""Write the reference pages that come from the roles' argument specifications: python docs/generate.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
ROLES = ROOT / "collections/ansible_collections/nebari/mlflow/roles"
PAGE = ROOT / "docs/reference/variables.md"

HEAD = """# Variables of the playbooks

What `playbooks/mlflow.yml` and `playbooks/destroy.yml` read, given by `-e name=value`, by `-e @file.yml` or by an
inventory. An unknown `mlflow_*` variable is refused, with the nearest known one, and so is a secret that is given as
text. Values are Ansible's: `{{ }}` in them is evaluated, also by `nebari-mlflow --vars FILE`. Write `!unsafe` in front
of a text that must reach the cluster to the letter, such as an annotation with another program's template. Read a file
of variables before you use it: its templates run programs on your machine, as a playbook does. This page is written by
`python docs/generate.py` from the roles' `meta/argument_specs.yml`.
"""


def text(description: str | list[str]) -> str:
    """Return a description in Markdown instead of Ansible's markup."""
    joined = " ".join([description] if isinstance(description, str) else description)
    return re.sub(r"\b[CVOM]\(([^()]*)\)", r"`\1`", joined)


def rows(options: dict[str, Any], prefix: str = "") -> list[str]:
    """Return a table row for each option and its sub-options."""
    found: list[str] = []
    for name, option in options.items():
        default = "required" if option.get("required") else f"`{option.get('default', '')!r}`"
        choices = [f"`{choice}`" for choice in option.get("choices", []) if choice]
        allowed = f" One of {', '.join(choices)}." if choices else ""
        kind = option["type"]
        found.append(f"| `{prefix}{name}` | {kind} | {default} | {text(option['description'])}{allowed} |")
        found += rows(option.get("options", {}), f"{prefix}{name}.")
    return found


def page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    head = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    server = yaml.safe_load((ROLES / "server/meta/argument_specs.yml").read_text())["argument_specs"]
    parts.append("\n".join(["## Everywhere", "", *head, *rows(server["preflight"]["options"])]) + "\n")
    for folder in sorted(path for path in ROLES.iterdir() if path.name not in {"server", "existing"}):
        spec = yaml.safe_load((folder / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]
        options = {f"mlflow_{k}": v for k, v in spec["options"].items() if not k.endswith("_state")}
        title = f"## With `provider={folder.name}`"
        parts.append("\n".join([title, "", text(spec["short_description"]) + ".", "", *head, *rows(options)]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
