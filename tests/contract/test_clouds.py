"""What the three clouds' modules say and need is one thing."""

from __future__ import annotations

import ast
import importlib
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.nebari.mlflow.plugins.doc_fragments.cloud import ModuleDocFragment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "collections/ansible_collections/nebari/mlflow/plugins"
META = ROOT / "collections/ansible_collections/nebari/mlflow/meta"
CLOUDS = ("aws", "azure", "gcp")
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def documented(cloud: str, block: str) -> Any:
    module = importlib.import_module(f"ansible_collections.nebari.mlflow.plugins.modules.{cloud}_storage")
    return yaml.safe_load(getattr(module, block))


def without_samples(returned: dict[str, Any]) -> dict[str, Any]:
    return {name: {k: v for k, v in entry.items() if k != "sample"} for name, entry in returned.items()}


def test_the_clouds_return_the_same() -> None:
    """Written three times, as a documentation fragment of Ansible may hold options only."""
    first, *others = (without_samples(documented(cloud, "RETURN")) for cloud in CLOUDS)
    assert all(other == first for other in others)


def test_the_options_that_all_clouds_have_are_the_same_and_all_are_documented() -> None:
    entry = importlib.import_module("ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry")
    common = {name for name in entry.COMMON if not name.startswith("_")}
    for cloud in CLOUDS:
        module = importlib.import_module(f"ansible_collections.nebari.mlflow.plugins.modules.{cloud}_storage")
        fragment = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)
        options = {**fragment["options"], **documented(cloud, "DOCUMENTATION")["options"]}
        taken = {name: spec for name, spec in module.ARGUMENTS.items() if not name.startswith("_")}
        assert set(options) == set(taken), cloud
        assert common <= set(taken)
        for name, spec in taken.items():
            for key in ("type", "default", "choices", "required"):
                assert options[name].get(key) == spec.get(key), (cloud, name, key)


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


def test_the_modules_and_the_execution_environment_ask_for_what_the_extras_bring() -> None:
    lines = (META / "ee-requirements.txt").read_text().splitlines()
    for cloud in CLOUDS:
        assert set(EXTRAS[cloud]) <= set(lines)
        stated = {each.replace(" ", "") for each in documented(cloud, "DOCUMENTATION")["requirements"]}
        assert stated == set(EXTRAS[cloud])
