"""Filters of the role `backup`: Secrets out of an encrypted file, and what was done in a few lines."""

from __future__ import annotations

import base64
import importlib.util
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = """
name: age_secrets
author: nebari-mlflow maintainers
version_added: 0.1.0
short_description: Decrypt the Secrets of a backup
description:
  - Decrypts with the private keys of an identity file of age. The keys never leave the machine that runs Ansible.
  - The same plugin file holds P(nebari.mlflow.backed_up#filter), and C(age_refusal), which says why the keys do not
    open the file.
options:
  _input:
    description: The encrypted file in base64.
    type: str
    required: true
  identities:
    description: Text of the identity file.
    type: str
    required: true
"""

EXAMPLES = """
- name: Decrypt the Secrets
  ansible.builtin.set_fact:
    secrets: "{{ backup_facts.age | nebari.mlflow.age_secrets(lookup('ansible.builtin.file', 'key.txt')) }}"
  no_log: true
"""

RETURN = """
_value:
  description: The keys and values of each Secret, by the part that it plays.
  type: dict
"""

AGE = Path(__file__).parents[2] / "roles/server/files/mlflow/files/nebari_mlflow_backup/age.py"
"""What encrypts in the cluster decrypts here: the file stands once."""


@cache
def _age() -> ModuleType:
    spec = importlib.util.spec_from_file_location("nebari_mlflow_age", AGE)
    if spec is None or spec.loader is None:
        raise AnsibleFilterError(f"{AGE} is missing. Install the collection again.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def age_secrets(encrypted: str, identities: str) -> dict[str, dict[str, str]]:
    """Return the Secrets of a backup. Nothing of them, and nothing of a key, is in an error.

    Raises AnsibleFilterError.
    """
    age = _age()
    try:
        found: dict[str, dict[str, str]] = json.loads(age.decrypt(base64.b64decode(encrypted), identities))
    except age.AgeError as error:
        raise AnsibleFilterError(
            f"{error} Fix: give the identity file whose public key is in backup.recipients."
        ) from None
    return found


def age_refusal(encrypted: str, identities: str) -> str:
    """Say why these keys do not open the Secrets of a backup; empty if they do. It holds nothing of either."""
    try:
        age_secrets(encrypted, identities)
    except AnsibleFilterError as error:
        return str(error)
    return ""


def backed_up(facts: Mapping[str, Any], task: str) -> list[str]:
    """Return what a backup, a restore or a drill did, in a few lines."""
    if task == "list":
        return [line(each) for each in facts.get("backups", [])] or ["There is no backup."]
    if task == "gc":
        return _collected(facts)
    told = facts.get("backup", facts)
    lines = [line(told)] if "id" in told else []
    if "replaces" in facts:
        lines.append(f"A restore would replace: {_counted(facts['replaces'])}")
    if "removed" in facts:
        lines.append(f"removed: {len(facts['removed'])} backups, kept: {len(facts['kept'])}")
    if facts.get("aside"):
        lines.append("What was there is put aside: nebari-mlflow restore --discard deletes it, --undo takes it back.")
    if "tables" in facts:
        lines.append(f"compared: {facts['tables']} tables, {facts['rows']} rows, no difference")
    return lines or ["done"]


def _collected(facts: Mapping[str, Any]) -> list[str]:
    if not facts:
        return ["done"]
    words = {name: facts[name] for name in ("runs", "experiments", "logged_models")}
    done = "deleted for good" if facts["deleted"] else "would be deleted for good"
    lines = [f"{done}: {_counted(words)}, deleted in MLflow more than {facts['days']} days ago"]
    if facts["referenced"]:
        lines.append(f"kept: {facts['referenced']} that registered models still refer to")
    if any(facts.get("orphans", {}).values()):
        lines.append(f"not in the database: artifacts of {_counted(facts['orphans'])}. Nothing deletes them:")
        lines += [f"  {path}" for path in facts.get("orphan_paths", [])]
    if facts.get("orphans_unknown"):
        lines.append(f"the artifacts were not compared with the database: {facts['orphans_unknown']}")
    return [*lines, *([facts["bloat"]] if facts.get("bloat") else [])]


def line(backup: Mapping[str, Any]) -> str:
    """Return one backup as a line."""
    if backup.get("unusable"):
        return f"{backup['id']}  unusable: {backup['unusable']}"
    kept = [f"MLflow {backup['mlflow']}", f"{backup['bytes']} bytes", _counted(backup["counts"])]
    kept.append("keys encrypted" if backup["secrets"] else "without keys")
    kept.append(f"artifacts: {backup['artifacts']}")
    return f"{backup['id']}  {', '.join(kept)}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {word.replace('_', ' ')}" for word, number in counts.items() if number) or "nothing"


class FilterModule:
    """Ansible finds filters by this class."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"age_refusal": age_refusal, "age_secrets": age_secrets, "backed_up": backed_up}
