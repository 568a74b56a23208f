"""What the modules document and what they take and return agree; `ansible-doc` reads them."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible_collections.nebari.mlflow.plugins.doc_fragments.cluster import ModuleDocFragment
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.cluster_facts import ClusterFacts
from ansible_collections.nebari.mlflow.plugins.module_utils.release.options import Options

from tests.support import ROOT

PLUGINS = ROOT / "collections/ansible_collections/nebari/mlflow/plugins"
NAMES = (
    *("job_completed", "cluster_info", "database_info", "volume_claim_name", "old_release", "route_info"),
    *("generated_secret", "helm_release", "helm_test", "release_lease", "release_removal", "workloads_ready"),
    *("rotated_secret", "workloads_restarted"),
)
OF_A_RELEASE = ("helm_release", "helm_test", "workloads_ready")


def load(name: str) -> ModuleType:
    return importlib.import_module(f"ansible_collections.nebari.mlflow.plugins.modules.{name}")


def arguments(name: str) -> dict[str, dict[str, Any]]:
    return {key: entry for key, entry in load(name).ARGUMENTS.items() if not key.startswith("_")}


def options_of(name: str) -> dict[str, dict[str, Any]]:
    """Return the options that a module documents, with those of its fragments."""
    own = yaml.safe_load(load(name).DOCUMENTATION)
    wanted = own["extends_documentation_fragment"]
    texts = [ModuleDocFragment.DOCUMENTATION, *([ModuleDocFragment.RELEASE] if isinstance(wanted, list) else [])]
    found = {key: entry for text in texts for key, entry in yaml.safe_load(text)["options"].items()}
    return {**found, **own.get("options", {})}


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_documented_as_it_is(name: str) -> None:
    documented = options_of(name)
    assert documented.keys() == arguments(name).keys()
    for key, entry in arguments(name).items():
        for part in ("choices", "default", "required", "elements", "aliases"):
            assert documented[key].get(part) == entry.get(part), f"{key}.{part}"
        assert documented[key]["type"] == entry.get("type", "str"), key
        assert documented[key].get("suboptions", {}).keys() == entry.get("options", {}).keys(), key


@pytest.mark.parametrize("name", NAMES[5:])
def test_options_and_arguments_have_the_same_names_and_defaults(name: str) -> None:
    known = {field.name for field in fields(Options)} | {"release"}
    cluster = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"].keys()
    given = {key: entry for key, entry in arguments(name).items() if key not in cluster}
    assert given.keys() <= known
    options = Options("one", "dev")
    for key, entry in given.items():
        if entry.get("default"):
            assert getattr(options, key) == entry["default"]


@pytest.mark.parametrize("name", OF_A_RELEASE)
def test_what_is_returned_is_documented(name: str) -> None:
    returned = set(yaml.safe_load(load(name).RETURN))
    assert returned >= {"changes", "revision", "status", "ready", "verified", "elapsed", "code", "cause", "fix"}


def test_the_release_says_what_a_play_needs_to_go_on() -> None:
    returned = set(yaml.safe_load(load("helm_release").RETURN))
    assert returned >= {"app_version", "chart_version", "missing_secrets"}
    assert set(yaml.safe_load(load("release_removal").RETURN)) >= {"kept", "objects", "records", "data", "connection"}


def test_every_fact_of_a_cluster_is_documented() -> None:
    returned = yaml.safe_load(load("cluster_info").RETURN)["cluster"]
    assert returned["contains"].keys() == returned["sample"].keys() == {field.name for field in fields(ClusterFacts)}


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_tasks_with_documented_options(name: str) -> None:
    for task in yaml.safe_load(load(name).EXAMPLES):
        assert (task.get(f"nebari.mlflow.{name}") or {}).keys() <= arguments(name).keys()


def test_ansible_doc_reads_every_module() -> None:
    names = [f"nebari.mlflow.{path.stem}" for path in sorted((PLUGINS / "modules").glob("*.py"))]
    program = Path(sys.executable).with_name("ansible-doc")
    done = subprocess.run([program, "--json", *names], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout).keys() == set(names)
