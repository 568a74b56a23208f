"""What the three clouds' modules say and need is one thing."""

from __future__ import annotations

import ast
import importlib
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nebari.mlflow.plugins.doc_fragments.cloud import ModuleDocFragment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "collections/ansible_collections/nebari/mlflow/plugins"
ROLES = ROOT / "collections/ansible_collections/nebari/mlflow/roles"
ENTRY = "ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry"
META = ROOT / "collections/ansible_collections/nebari/mlflow/meta"
CLOUDS = ("aws", "azure", "gcp")
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py") if path.stem.partition("_")[0] in CLOUDS)
LOOKS = [name for name in MODULES if name.endswith("_info")]
RESOURCES = [name for name in MODULES if name not in LOOKS]


def load(name: str) -> ModuleType:
    return importlib.import_module(f"ansible_collections.nebari.mlflow.plugins.modules.{name}")


def documented(name: str, block: str) -> Any:
    return yaml.safe_load(getattr(load(name), block))


def fragments(name: str) -> list[dict[str, Any]]:
    """Return what a module's documentation takes over."""
    wanted = documented(name, "DOCUMENTATION")["extends_documentation_fragment"]
    assert all(each.startswith("nebari.mlflow.cloud.") for each in wanted)
    return [yaml.safe_load(getattr(ModuleDocFragment, each.rpartition(".")[2].upper())) for each in wanted]


def options(name: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for part in (*fragments(name), documented(name, "DOCUMENTATION")):
        found |= part["options"]
    return found


def arguments(name: str) -> dict[str, dict[str, Any]]:
    return {key: spec for key, spec in load(name).ARGUMENTS.items() if not key.startswith("_")}


def without_samples(returned: dict[str, Any]) -> dict[str, Any]:
    return {name: {k: v for k, v in entry.items() if k != "sample"} for name, entry in returned.items()}


@pytest.mark.parametrize(
    ("names", "shared"),
    [
        (LOOKS, {"storage", "changes", "due", "owner", "elapsed", "code", "cause", "fix"}),
        (RESOURCES, {"changes", "kept", "elapsed", "code", "cause", "fix"}),
    ],
    ids=["looks", "resources"],
)
def test_the_clouds_return_the_same(names: list[str], shared: set[str]) -> None:
    """Written once for each module, as a documentation fragment of Ansible may hold options only."""
    first, *others = (without_samples(documented(name, "RETURN")) for name in names)
    assert shared <= first.keys()
    for other in others:
        assert {key: other[key] for key in shared} == {key: first[key] for key in shared}


@pytest.mark.parametrize("name", MODULES)
def test_every_option_is_documented_as_it_is(name: str) -> None:
    def check(documented: dict[str, Any], taken: dict[str, Any]) -> None:
        assert set(documented) == set(taken)
        for key, spec in taken.items():
            for part in ("type", "default", "choices", "required", "elements"):
                assert documented[key].get(part) == spec.get(part), (key, part)
            check(documented[key].get("suboptions", {}), spec.get("options", {}))

    check(options(name), arguments(name))


def of_google() -> dict[str, dict[str, Any]]:
    """Return what google.cloud's class of modules adds to the options of each."""
    gcp_utils = importlib.import_module("ansible_collections.google.cloud.plugins.module_utils.gcp_utils")
    found: dict[str, dict[str, Any]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gcp_utils.AnsibleModule, "__init__", lambda *_, argument_spec, **__: found.update(argument_spec))
        gcp_utils.GcpModule(argument_spec={})
    return found


def of_amazon() -> dict[str, dict[str, Any]]:
    modules = importlib.import_module("ansible_collections.amazon.aws.plugins.module_utils.modules")
    found: dict[str, dict[str, Any]] = modules.aws_argument_spec()
    return found


def of_microsoft() -> dict[str, dict[str, Any]]:
    common = importlib.import_module("ansible_collections.azure.azcollection.plugins.module_utils.azure_rm_common")
    found: dict[str, dict[str, Any]] = common.AZURE_COMMON_ARGS
    return found


@pytest.mark.parametrize(
    ("cloud", "theirs", "without"),
    [
        ("gcp", of_google, {"project"}),
        ("aws", of_amazon, {"debug_botocore_endpoint_logs"}),
        (
            "azure",
            of_microsoft,
            {
                "ad_user", "password", "adfs_authority_url", "api_profile", "cert_validation_mode",
                "disable_instance_discovery", "log_mode", "log_path", "thumbprint",
            },
        ),
    ],
)  # fmt: skip
def test_credentials_have_the_names_of_the_clouds_own_collection(
    cloud: str, theirs: Callable[[], dict[str, dict[str, Any]]], without: set[str]
) -> None:
    """`without` are those that a role of this project has no use for, and `project`, which has two names here."""
    path = f"ansible_collections.nebari.mlflow.plugins.module_utils.{cloud}.credentials"
    ours: dict[str, dict[str, Any]] = importlib.import_module(path).OF_CLOUD
    wanted = theirs()
    assert ours.keys() - {"cloud_project"} == wanted.keys() - without
    for name in ours.keys() - {"cloud_project"}:
        for part in ("aliases", "elements"):
            assert ours[name].get(part) == wanted[name].get(part), (name, part)
        assert ours[name]["type"] == wanted[name].get("type", "str"), name
        assert set(ours[name].get("choices", [])) == set(wanted[name].get("choices", [])), name


def test_every_look_has_the_options_that_all_clouds_have() -> None:
    common = {name for name in importlib.import_module(ENTRY).LOOK if not name.startswith("_")}
    assert all(common <= arguments(name).keys() for name in LOOKS)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_accepted_by_it(name: str) -> None:
    rules = getattr(load(name), "RULES", {})
    for task in yaml.safe_load(load(name).EXAMPLES):
        validated = ArgumentSpecValidator(load(name).ARGUMENTS, **rules).validate(task[f"nebari.mlflow.{name}"])
        assert validated.error_messages == []


def test_every_module_of_a_cloud_shows_its_progress() -> None:
    runtime = yaml.safe_load((META / "runtime.yml").read_text())
    routed = runtime["plugin_routing"]["modules"]
    assert {routed[name]["action_plugin"] for name in MODULES} == {"nebari.mlflow.follow"}
    groups = runtime["action_groups"].values()
    assert sorted(name for group in groups for name in group if isinstance(name, str)) == MODULES


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_role_runs_every_module_of_its_cloud(cloud: str) -> None:
    """And each task by its own name, so that a play can be read, started and stopped at any step."""
    for entry_point in ("main", "absent"):
        listed = tasks(ROLES / cloud / "tasks", entry_point)
        used = [key.removeprefix("nebari.mlflow.") for task in listed for key in task if key.startswith("nebari.")]
        assert used[0] == f"{cloud}_storage_info", "before the first write, all is read"
        of_cloud = {name for name in MODULES if name.startswith(f"{cloud}_")}
        unused = of_cloud - set(used)
        assert unused <= ({"azure_federated_credential"} if entry_point == "absent" else set())
        assert len({task["name"] for task in listed}) == len(listed)


def tasks(folder: Path, name: str) -> list[dict[str, Any]]:
    """Return all tasks of an entry point, those of blocks and of the files that it includes among them."""

    def flat(listed: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for task in listed:
            included = Path(task.get("ansible.builtin.include_tasks", "")).stem
            yield from flat(task["block"]) if "block" in task else tasks(folder, included) if included else [task]

    return [*flat(yaml.safe_load((folder / f"{name}.yml").read_text()))]


def imported(cloud: str) -> set[str]:
    """Return the modules that a cloud's files import from outside of Python and the collection."""
    names: set[str] = set()
    for path in (PLUGINS / "module_utils" / cloud).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module)
    ours = {*sys.stdlib_module_names, "ansible", "ansible_collections"}
    return {name for name in names if name.partition(".")[0] not in ours}


def distribution_of(module: str) -> str:
    """Return the installed distribution that holds a module; many share the name `azure` or `google`."""
    path, family = module.replace(".", "/"), module.partition(".")[0]
    for found in metadata.distributions():
        if found.name.startswith(family) and any(
            str(file) in (f"{path}.py", f"{path}/__init__.py") for file in found.files or []
        ):
            return canonicalize_name(found.name)
    raise AssertionError(f"nothing that is installed has {module}")


def brought(requirements: list[str]) -> set[str]:
    """Return what these requirements install, with all that they require in turn."""
    found: set[str] = set()
    waiting = [Requirement(each) for each in requirements]
    while waiting:
        name = canonicalize_name(waiting.pop().name)
        if name not in found:
            found.add(name)
            required = [Requirement(each) for each in metadata.requires(name) or []]
            waiting += [each for each in required if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


@pytest.mark.parametrize("cloud", CLOUDS)
def test_an_extra_installs_what_the_module_imports(cloud: str) -> None:
    needed = {distribution_of(module) for module in imported(cloud)}
    assert needed
    assert needed <= brought(EXTRAS[cloud])


@pytest.mark.parametrize("cloud", CLOUDS)
def test_an_extra_asks_for_no_other_version_than_nebari_brings(cloud: str) -> None:
    """The environment of the tests is Nebari's, with its pins."""
    assert metadata.version("nebari")
    for requirement in map(Requirement, EXTRAS[cloud]):
        assert requirement.specifier.contains(metadata.version(requirement.name)), requirement


def test_nothing_in_nebaris_environment_contradicts_anything_else() -> None:
    """What `pip check` says, of nebari, this project and the libraries of all clouds together."""
    problems = []
    for found in metadata.distributions():
        for requirement in map(Requirement, found.requires or []):
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            try:
                version = metadata.version(requirement.name)
            except metadata.PackageNotFoundError:
                problems.append(f"{found.name} requires {requirement}, which is missing")
                continue
            if not requirement.specifier.contains(version, prereleases=True):
                problems.append(f"{found.name} requires {requirement}, and {version} is installed")
    assert problems == []


def test_modules_and_execution_environment_match_the_extras() -> None:
    lines = (META / "ee-requirements.txt").read_text().splitlines()
    for cloud in CLOUDS:
        assert set(EXTRAS[cloud]) <= set(lines)
        stated = yaml.safe_load(getattr(ModuleDocFragment, cloud.upper()))["requirements"]
        assert {each.replace(" ", "") for each in stated} == set(EXTRAS[cloud])
        for name in [name for name in MODULES if name.startswith(f"{cloud}_")]:
            assert f"nebari.mlflow.cloud.{cloud}" in documented(name, "DOCUMENTATION")["extends_documentation_fragment"]
