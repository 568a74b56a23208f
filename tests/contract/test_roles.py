"""What two files say about a role's inputs and outputs is the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.nebari.mlflow.plugins.filter.mapping import CHARTED, EMPTY
from jinja2.nativetypes import NativeEnvironment

COLLECTION = Path(__file__).parents[2] / "collections/ansible_collections/nebari/mlflow"
ROLES = sorted(path.name for path in (COLLECTION / "roles").iterdir() if path.is_dir())
PROVIDERS = [role for role in ROLES if role not in ("adopt", "backup", "inputs", "server")]


def load(role: str, path: str) -> Any:
    return yaml.safe_load((COLLECTION / "roles" / role / path).read_text())


def specs(role: str) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = load(role, "meta/argument_specs.yml")["argument_specs"]
    return entries


def task_files(role: str) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    for path in sorted((COLLECTION / "roles" / role / "tasks").glob("*.yml")):
        yield path, unblocked(yaml.safe_load(path.read_text()))


def unblocked(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all tasks, those of blocks among them."""
    return [each for task in tasks for each in (unblocked(task["block"]) if "block" in task else [task])]


def when_nothing_is_given(expression: Any) -> Any:
    """Return what a default is when nobody sets a short name and no cluster was asked."""
    if not isinstance(expression, str) or "{{" not in expression:
        return expression
    environment = NativeEnvironment()
    environment.globals["lookup"] = lambda *_names, default="": default
    return environment.from_string(expression).render() or ""


def inputs_of(role: str) -> dict[str, dict[str, Any]]:
    options: dict[str, dict[str, Any]] = specs(role)["main"]["options"]
    return options


def used_in(folder: Path) -> set[str]:
    """Return the `mlflow_*` variables that the YAML files below a folder read or set."""
    return {
        name
        for path in folder.rglob("*.yml")
        if not {"meta", "files"} & set(path.parts)
        for name in re.findall(r"(?<!nebari\.)\bmlflow_\w+", re.sub(r"#.*", "", path.read_text()))
    }


@pytest.mark.parametrize("role", [role for role in ROLES if (COLLECTION / "roles" / role / "defaults").is_dir()])
def test_role_inputs_have_defaults_and_descriptions(role: str) -> None:
    assert set(inputs_of(role)) == set(load(role, "defaults/main.yml"))


@pytest.mark.parametrize("role", [role for role in ROLES if (COLLECTION / "roles" / role / "defaults").is_dir()])
def test_defaults_and_specification_agree(role: str) -> None:
    defaults = load(role, "defaults/main.yml")
    for name, option in inputs_of(role).items():
        if "default" in option:
            assert when_nothing_is_given(defaults[name]) == option["default"], name


@pytest.mark.parametrize("role", ROLES)
def test_a_role_describes_itself_as_the_collection_does(role: str) -> None:
    """Galaxy shows the description; without one, its importer complains."""
    rows = re.findall(r"^\| \[(\w+)\]\(roles/\1/README\.md\) \| (.+) \|$", (COLLECTION / "README.md").read_text(), re.M)
    assert load(role, "meta/main.yml")["galaxy_info"] == {"description": dict(rows)[role], "standalone": False}


@pytest.mark.parametrize("role", ROLES)
def test_users_give_only_names_that_begin_with_mlflow(role: str) -> None:
    from_roles = {"server_storage"}
    assert all(name.startswith("mlflow_") for name in set(inputs_of(role)) - from_roles)


@pytest.mark.parametrize("role", PROVIDERS)
def test_a_role_reads_only_variables_that_the_playbooks_accept(role: str) -> None:
    assert used_in(COLLECTION / "roles" / role) <= set(inputs_of("inputs")) | set(inputs_of(role))


def test_every_input_is_read() -> None:
    read = set().union(*(used_in(COLLECTION / folder) for folder in ("roles", "playbooks")))
    assert set().union(*(inputs_of(role) for role in ["inputs", *PROVIDERS])) <= read


@pytest.mark.parametrize("role", [role for role in ROLES if role != "inputs"])
def test_every_role_has_its_inputs_checked(role: str) -> None:
    assert load(role, "meta/main.yml")["dependencies"] == [{"role": "nebari.mlflow.inputs"}]


@pytest.mark.parametrize("role", PROVIDERS)
def test_every_provider_can_be_removed_and_returns_its_storage(role: str) -> None:
    assert set(specs(role)) == {"main", "absent"}
    facts = {
        fact for _, tasks in task_files(role) for task in tasks for fact in task.get("ansible.builtin.set_fact", {})
    }
    assert f"{role}_storage" in facts
    calls = any(f"nebari.mlflow.{role}_storage_info" in task for _, tasks in task_files(role) for task in tasks)
    assert (f"{role}_report" in facts) is calls, "a plan and a removal name what the provider's layer changes and keeps"


def test_the_storage_has_one_shape_from_provider_to_chart() -> None:
    given = inputs_of("inputs")["mlflow_storage"]["options"]
    taken = specs("server")["main"]["options"]["server_storage"]["options"]
    schema = json.loads((COLLECTION / "roles/server/files/mlflow/values.schema.json").read_text())
    charted = schema["properties"]["storage"]["properties"]
    assert set(given) == set(taken) == set(EMPTY)
    assert {CHARTED.get(name, name) for name in given} == set(charted)
    volumes = [{CHARTED.get(name, name) for name in shape["volume"]["options"]} for shape in (given, taken)]
    assert volumes == [set(charted["volume"]["properties"])] * 2


@pytest.mark.parametrize("role", ROLES)
def test_entry_points_have_tasks_and_files_are_not_called(role: str) -> None:
    names = {path.stem for path, _ in task_files(role)}
    assert set(specs(role)) <= names
    for path in COLLECTION.rglob("*.yml"):
        assert not re.search(r"tasks_from:.*\.ya?ml", path.read_text()), path


@pytest.mark.parametrize("role", ROLES)
def test_roles_look_alike(role: str) -> None:
    folder = COLLECTION / "roles" / role
    for name in ("README.md", "meta/argument_specs.yml", "tasks/main.yml"):
        assert (folder / name).is_file(), name
    for path, _ in task_files(role):
        assert len(path.read_text().splitlines()) <= 75, path


@pytest.mark.parametrize("name", sorted(path.name for path in (COLLECTION / "playbooks").glob("*.yml")))
def test_collection_playbooks_run_from_the_repository(name: str) -> None:
    plays = yaml.safe_load((COLLECTION.parents[3] / "playbooks" / name).read_text())
    assert plays == [
        {
            "name": plays[0]["name"],
            "ansible.builtin.import_playbook": f"nebari.mlflow.{Path(name).stem}",
        }
    ]


def test_chart_and_module_read_a_database_uri_alike() -> None:
    """A module cannot import from a role, nor a chart from a module."""
    chart = COLLECTION / "roles/server/files/mlflow/files/mlflow_uri.py"
    assert (COLLECTION / "plugins/module_utils/database/uri.py").read_bytes() == chart.read_bytes()
