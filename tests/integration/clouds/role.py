"""Run the tasks of a provider's role in this process: Ansible's own templates, the modules' own functions.

It knows what these roles use: modules of this collection, blocks, includes, `when`, `register`, `vars`, set_fact. The
checks of the inputs are left out. test_every_cloud.py runs the same roles by ansible-playbook.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud import entry
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.progress import Progress

ROLES = Path(__file__).parents[3] / "collections/ansible_collections/nebari/mlflow/roles"
MODULES = "ansible_collections.nebari.mlflow.plugins.modules"
PREFIX = "nebari.mlflow."


class Role:
    """One run of one entry point of a role."""

    def __init__(self, provider: str, given: dict[str, Any], check: bool, progress: Progress) -> None:
        self._provider = provider
        self._folder = ROLES / provider
        self._loader = DataLoader()
        self._check = check
        self._progress = progress
        self._variables: dict[str, Any] = {
            **self._load("defaults/main.yml"),
            **self._load("vars/main.yml"),
            **given,
        }
        self.facts: dict[str, Any] = {}
        self.results: list[dict[str, Any]] = []

    def run(self, entry_point: str) -> None:
        self._tasks(self._load(f"tasks/{entry_point}.yml"), {})

    def _tasks(self, tasks: list[dict[str, Any]], defaults: dict[str, Any]) -> None:
        for task in tasks:
            included = Path(task.get("ansible.builtin.include_tasks", "")).name
            if "block" in task:
                self._tasks(task["block"], task.get("module_defaults", {}).get(f"group/{PREFIX}{self._provider}", {}))
            elif not included:
                self._task(task, defaults)
            elif included != "preflight.yml":
                self._tasks(self._load(f"tasks/{included}"), defaults)

    def _task(self, task: dict[str, Any], defaults: dict[str, Any]) -> None:
        templar = Templar(self._loader, {**self._variables, **self.facts, **task.get("vars", {})})
        if not templar.evaluate_conditional(task.get("when", True)):
            self.facts[task["register"]] = {"skipped": True, "changed": False}
            return
        facts = task.get("ansible.builtin.set_fact")
        if facts:
            self.facts.update(templar.template(facts))
            return
        action = next(key for key in task if key.startswith(PREFIX))
        params = templar.template({**defaults, **task[action]})
        result = run(action.removeprefix(PREFIX), params, self._check, self._progress)
        self.facts[task["register"]] = result
        self.results.append(result)

    def _load(self, path: str) -> Any:
        return self._loader.load_from_file(str(self._folder / path), trusted_as_template=True)


def run(name: str, params: dict[str, Any], check: bool, progress: Progress) -> dict[str, Any]:
    """Run one module in this process."""
    module = importlib.import_module(f"{MODULES}.{name}")
    validated = ArgumentSpecValidator(module.ARGUMENTS, **getattr(module, "RULES", {})).validate(params)
    assert not validated.error_messages, (name, validated.error_messages)
    looks = name.endswith("_info")
    result = entry.run(module.look if looks else module.ensure, validated.validated_parameters, check, progress)
    assert looks or result["changed"] is bool(result["changes"])
    return result


def variables(provider: str, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the entry point and the role's inputs for what a test asks for, by the inputs' names without prefixes."""
    given = dict(params)
    project, tasks = given.pop("project"), "main" if given.pop("state", "present") == "present" else "absent"
    inputs = {
        "mlflow_project_name": project,
        "mlflow_namespace": given.pop("namespace"),
        "mlflow_delete_data": project if given.pop("delete_data", False) else "",
    }
    given = {name.replace("cloud_project", "project"): value for name, value in given.items()}
    return tasks, {**inputs, **{f"mlflow_{provider}_{name}": value for name, value in given.items()}}


def converge(provider: str, params: dict[str, Any], check: bool, progress: Progress) -> dict[str, Any]:
    """Run the role, and return its storage, its report, and the differences that its tasks showed."""
    tasks, given = variables(provider, params)
    role = Role(provider, given, check, progress)
    role.run(tasks)
    report = role.facts[f"{provider}_report"]
    changed = any(result["changed"] for result in role.results)
    assert changed is bool(report["changes"])
    diffs = [result["diff"] for result in role.results]
    return {
        "found": role.facts[f"__{provider}_found"],
        "modules": len(role.results),
        "storage": role.facts[f"{provider}_storage"],
        "changed": changed,
        "changes": report["changes"],
        "kept": report["kept"],
        "diff": {side: {k: v for diff in diffs for k, v in diff[side].items()} for side in ("before", "after")},
    }
