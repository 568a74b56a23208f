"""What two files say about a role's inputs and outputs is the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2.nativetypes import NativeEnvironment

COLLECTION = Path(__file__).parents[2] / "collections/ansible_collections/nebari/mlflow"
ROLES = sorted(path.name for path in (COLLECTION / "roles").iterdir() if path.is_dir())
PROVIDERS = [role for role in ROLES if role != "server"]
SHAPE = {"uri", "env", "secret", "service_account_annotations", "pod_labels", "volume", "network"}


def load(role: str, path: str) -> Any:
    return yaml.safe_load((COLLECTION / "roles" / role / path).read_text())


def specs(role: str) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = load(role, "meta/argument_specs.yml")["argument_specs"]
    return entries


def task_files(role: str) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    for path in sorted((COLLECTION / "roles" / role / "tasks").glob("*.yml")):
        yield path, yaml.safe_load(path.read_text())


def without_collection_inputs(expression: Any) -> Any:
    """Return what a default is when nobody sets a `mlflow_*` variable."""
    return NativeEnvironment().from_string(expression).render() if isinstance(expression, str) else expression


@pytest.mark.parametrize("role", ROLES)
def test_every_input_of_a_role_has_a_default_and_a_description(role: str) -> None:
    described = {name for entry in specs(role).values() for name in entry["options"] if name.startswith(f"{role}_")}
    commented = set(re.findall(r"^# (\w+):$", (COLLECTION / "roles" / role / "defaults/main.yml").read_text(), re.M))
    assert described == set(load(role, "defaults/main.yml")) | commented


@pytest.mark.parametrize("role", ROLES)
def test_a_default_is_the_same_in_the_defaults_and_in_the_specification(role: str) -> None:
    defaults = load(role, "defaults/main.yml")
    for entry in specs(role).values():
        for name, option in entry["options"].items():
            if "default" in option and name in defaults:
                assert without_collection_inputs(defaults[name]) == option["default"], name


@pytest.mark.parametrize("role", PROVIDERS)
def test_a_role_reads_only_variables_that_the_playbooks_accept(role: str) -> None:
    accepted = set(specs("server")["preflight"]["options"]) | {
        f"mlflow_{name}" for name in specs(role)["main"]["options"]
    }
    folder = COLLECTION / "roles" / role
    used = {
        name
        for path in folder.rglob("*.yml")
        if "meta" not in path.parts
        for name in re.findall(r"\bmlflow_\w+", re.sub(r"#.*", "", path.read_text()))
    }
    assert used <= accepted


def test_the_server_binds_every_input_of_the_playbooks_or_a_provider_does() -> None:
    bound = {
        name
        for path in (COLLECTION / "roles").glob("*/*/main.yml")
        for name in re.findall(r"\bmlflow_\w+", path.read_text())
    }
    bound |= {
        name
        for path in (COLLECTION / "playbooks").glob("*.yml")
        for name in re.findall(r"\bmlflow_\w+", path.read_text())
    }
    assert set(specs("server")["preflight"]["options"]) <= bound


@pytest.mark.parametrize("role", PROVIDERS)
def test_every_provider_takes_a_state_and_returns_its_storage(role: str) -> None:
    assert specs(role)["main"]["options"][f"{role}_state"]["choices"] == ["present", "absent"]
    facts = {
        fact for _, tasks in task_files(role) for task in tasks for fact in task.get("ansible.builtin.set_fact", {})
    }
    assert f"{role}_storage" in facts
    calls = any(f"nebari.mlflow.{role}_storage" in task for _, tasks in task_files(role) for task in tasks)
    assert (f"{role}_report" in facts) is calls, "a plan and a removal name what the provider's layer changes and keeps"


def test_the_storage_has_one_shape_from_provider_to_chart() -> None:
    given = specs("existing")["main"]["options"]["existing_storage"]["options"]
    taken = specs("server")["main"]["options"]["server_storage"]["options"]
    schema = json.loads((COLLECTION / "roles/server/files/mlflow/values.schema.json").read_text())
    charted = schema["properties"]["storage"]["properties"]
    assert set(given) == set(taken) == set(charted) == SHAPE
    volumes = [shape["volume"] for shape in (given, taken)]
    assert {frozenset(volume["options"]) for volume in volumes} == {frozenset(charted["volume"]["properties"])}


@pytest.mark.parametrize("role", ROLES)
def test_every_entry_point_has_tasks_and_none_is_called_by_a_file_name(role: str) -> None:
    names = {path.stem for path, _ in task_files(role)}
    assert set(specs(role)) <= names
    for path in COLLECTION.rglob("*.yml"):
        assert not re.search(r"tasks_from:.*\.ya?ml", path.read_text()), path


@pytest.mark.parametrize("role", ROLES)
def test_roles_look_alike(role: str) -> None:
    folder = COLLECTION / "roles" / role
    for name in ("README.md", "defaults/main.yml", "meta/argument_specs.yml", "tasks/main.yml"):
        assert (folder / name).is_file(), name
    for path, _ in task_files(role):
        assert len(path.read_text().splitlines()) <= 75, path


@pytest.mark.parametrize("name", sorted(path.name for path in (COLLECTION / "playbooks").glob("*.yml")))
def test_every_playbook_of_the_collection_can_be_run_from_the_repository(name: str) -> None:
    plays = yaml.safe_load((COLLECTION.parents[3] / "playbooks" / name).read_text())
    assert plays == [
        {
            "name": plays[0]["name"],
            "ansible.builtin.import_playbook": f"nebari.mlflow.{Path(name).stem}",
        }
    ]
