"""Filters that say in a few lines what a playbook did: the last thing that a person reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

DOCUMENTATION = """
name: deployed
author: nebari-mlflow maintainers
version_added: 0.1.0
short_description: Say where MLflow is and what a deploy changed
description:
  - Returns lines for a person, from the facts that the role P(nebari.mlflow.server#role) returns.
  - The same plugin file holds P(nebari.mlflow.removed#filter).
options:
  _input:
    description: The fact C(server_facts).
    type: dict
    required: true
  check:
    description: Whether the changes were only predicted.
    type: bool
    default: false
"""

EXAMPLES = """
- name: Show where MLflow is
  ansible.builtin.debug:
    msg: "{{ server_facts | nebari.mlflow.deployed(ansible_check_mode) }}"
"""

RETURN = """
_value:
  description: The lines.
  type: list
  elements: str
"""

ACCESS = {
    "open": "open: everyone whom the network lets in may read and change everything",
    "users": "users: every request needs a person's or a program's credential",
}
PAST = {"create": "created", "update": "updated", "delete": "deleted", "recover": "recovered", "verify": "tested"}


def deployed(facts: Mapping[str, Any], check: bool = False) -> list[str]:
    """Return the addresses, the version, the changes and the next command."""
    release = facts["release"]
    state = "would be deployed" if check else "is deployed and tested" if facts["verified"] else "is deployed"
    rows = {
        "tracking URI": facts["tracking_uri"],
        "UI": facts["ui_url"] or "no route",
        **({"UI, tried": facts["ui_says"]} if facts.get("ui_says") else {}),
        "artifacts": facts["artifact_uri"],
        "access": ACCESS[facts["access"]],
    }
    lines = [
        f"MLflow {facts['versions']['mlflow']} {state}: release {release['name']}, namespace {release['namespace']}"
    ]
    lines += [f"{name}: {value}" for name, value in rows.items()]
    lines += _changes(facts["changes"], check) or ["nothing would change" if check else "nothing changed"]
    if not check and not facts["ui_url"]:
        where = f"-n {release['namespace']} svc/{facts['service']['name']} {facts['service']['port']}"
        lines.append(f"next: kubectl port-forward {where}, then open http://127.0.0.1:{facts['service']['port']}")
    elif not check:
        lines.append(f"next: open {facts['ui_url']}")
    return lines


def removed(facts: Mapping[str, Any], project: str, check: bool = False) -> list[str]:
    """Return what was removed and what stays, with the way to delete the data."""
    release = facts["release"]
    lines = _changes(facts["changes"], check) or [f"release {release['name']} is not deployed; nothing to remove"]
    kept = [f"stays: {item['kind']} {item['name']}" + _why(item) for item in facts["kept"]]
    if any(not item.get("reason") for item in facts["kept"]):
        kept.append(f"To delete this data for good, run the same command with -e mlflow_delete_data={project}")
    return lines + kept


def _why(item: Mapping[str, Any]) -> str:
    """Return why an object stays even if deletion was asked for."""
    return f" ({item['reason']})" if item.get("reason") else ""


def _changes(changes: Iterable[Mapping[str, Any]], check: bool) -> list[str]:
    """Return a line for each change."""
    done = "would be " if check else ""
    return [f"{done}{PAST[change['action']]}: {change['kind']} {change['name']}" for change in changes]


class FilterModule:
    """Ansible finds filters by this class."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters by name."""
        return {"deployed": deployed, "removed": removed}
