"""The module's documentation and its argument spec agree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.nebari.mlflow.plugins.module_utils.options import Options
from ansible_collections.nebari.mlflow.plugins.modules import release


def test_every_option_is_documented_as_it_is() -> None:
    documented: dict[str, Any] = yaml.safe_load(release.DOCUMENTATION)["options"]
    spec = {name: entry for name, entry in release.ARGUMENTS.items() if not name.startswith("_")}
    assert documented.keys() == spec.keys()
    for name, entry in spec.items():
        for part in ("type", "choices", "default", "required", "elements"):
            assert documented[name].get(part) == entry.get(part), f"{name}.{part}"


def test_options_and_arguments_have_the_same_names_and_defaults() -> None:
    spec = {name: entry for name, entry in release.ARGUMENTS.items() if not name.startswith("_")}
    options = Options("one", "dev")
    assert options.__dict__.keys() == spec.keys()
    for name, entry in spec.items():
        if entry.get("default"):
            assert getattr(options, name) == entry["default"]


def test_what_is_returned_is_documented() -> None:
    documented = set(yaml.safe_load(release.RETURN))
    assert documented >= {
        "changes",
        "revision",
        "status",
        "verified",
        "app_version",
        "chart_version",
        "elapsed",
        "kept",
    }


def test_examples_are_tasks_with_documented_options() -> None:
    for task in yaml.safe_load(release.EXAMPLES):
        assert task["nebari.mlflow.release"].keys() <= release.ARGUMENTS.keys()


def test_ansible_doc_reads_it() -> None:
    program = Path(sys.executable).with_name("ansible-doc")
    done = subprocess.run([program, "--json", "nebari.mlflow.release"], capture_output=True, text=True, check=True)
    assert "nebari.mlflow.release" in json.loads(done.stdout)
