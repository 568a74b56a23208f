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
  - The same plugin file holds P(nebari.mlflow.removed#filter) and P(nebari.mlflow.rotated#filter).
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
IN_DATABASE = {
    "passwords": "passwords set",
    "connections_ended": "connections of the former ones ended",
    "webhooks": "secrets of webhooks encrypted again",
    "gateway_secrets": "secrets of the AI gateway encrypted again",
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


def rotated(facts: Mapping[str, Any], check: bool = False) -> list[str]:
    """Return which values were replaced, what was done in the database, and the next command."""
    done = "would be rotated" if check else "rotated"
    lines = []
    for secret in facts["secrets"]:
        named = [field for change in facts["changes"] if change["name"] == secret for field in change.get("fields", [])]
        keys = sorted({field.removeprefix("data.").removeprefix("other.") for field in named})
        lines.append(f"{done}: Secret {secret} ({', '.join(keys)})")
    if check:
        restarts = sorted({change["name"] for change in facts["changes"] if change["kind"] != "Secret"})
        return [*lines, *(f"would be restarted: {name}" for name in restarts)]
    counted = {word: facts["database"].get(name) for name, word in IN_DATABASE.items()}
    told = ", ".join(f"{number} {word}" for word, number in counted.items() if number)
    return [*lines, *([f"in the database: {told}"] if told else []), "next: make a backup: nebari-mlflow backup"]


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
        return {"deployed": deployed, "removed": removed, "rotated": rotated}
