"""Every example is accepted by the real schema of its door, and the chart renders with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import environment
from tests.unit.chart.rendering import CHART as CHART_FOLDER
from tests.unit.chart.rendering import render, run

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs/examples"
ROLES = ROOT / "collections/ansible_collections/nebari/mlflow/roles"
KINDS = ["aws", "azure", "existing", "gcp", "ha", "small"]
CHART = sorted((EXAMPLES / "chart").iterdir())
ANSIBLE = sorted((EXAMPLES / "ansible").iterdir())
STORAGE: dict[str, dict[str, Any]] = {
    "local": {"uri": "/mlflow/artifacts"},
    "aws": {"uri": "s3://demo-mlflow-0a1b2c3d/artifacts", "secret": ""},
    "azure": {"uri": "wasbs://nebari-mlflow@demo.blob.core.windows.net/artifacts", "secret": ""},
    "gcp": {"uri": "gs://demo-mlflow-0a1b2c3d/artifacts", "secret": ""},
}
"""What a provider's role returns, as far as the chart's values depend on it."""


def test_each_door_has_an_example_of_each_kind() -> None:
    doors = {door.name: sorted(path.stem for path in door.iterdir()) for door in EXAMPLES.iterdir()}
    assert doors == {"ansible": KINDS, "chart": KINDS, "nebari": KINDS}


@pytest.mark.parametrize("path", CHART, ids=lambda path: path.stem)
def test_the_chart_renders_with_the_values_of_an_example(path: Path) -> None:
    values = yaml.safe_load(path.read_text())
    objects = render(values)
    (server,) = [item for item in objects if item["kind"] == "Deployment"]
    claims = [item["metadata"]["name"] for item in objects if item["kind"] == "PersistentVolumeClaim"]
    databases = [item["metadata"]["name"] for item in objects if item["kind"] == "StatefulSet"]
    assert server["metadata"]["name"] == "demo-mlflow-tracking"
    assert claims == (["demo-mlflow-artifacts"] if path.stem == "small" else [])
    assert bool(databases) == (path.stem not in {"ha", "existing"})


@pytest.mark.parametrize("path", [None, *CHART], ids=lambda path: path.stem if path else "defaults")
def test_helm_lint_finds_nothing_even_when_strict(path: Path | None) -> None:
    done = run("lint", "--strict", str(CHART_FOLDER), values=yaml.safe_load(path.read_text()) if path else {})
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What the roles say to each example, from one run of Ansible: why it is refused, or the chart's values."""
    folder = tmp_path_factory.mktemp("play")
    defaults = yaml.safe_load((ROLES / "inputs/defaults/main.yml").read_text())
    plays = []
    for path in ANSIBLE:
        given = yaml.safe_load(path.read_text())
        storage = given.get("mlflow_storage") or STORAGE[given["mlflow_provider"]]
        failed = {"ansible.builtin.set_stats": {"data": {path.stem: {"refused": "{{ ansible_failed_result.msg }}"}}}}
        spec = yaml.safe_load((ROLES / given["mlflow_provider"] / "meta/argument_specs.yml").read_text())
        options = spec["argument_specs"]["main"]["options"]
        check: list[dict[str, Any]] = [
            {"ansible.builtin.include_role": {"name": "nebari.mlflow.inputs"}},
            {
                "ansible.builtin.validate_argument_spec": {
                    "argument_spec": options,
                    "provided_arguments": {name: value for name, value in given.items() if name in options},
                }
            },
            {"ansible.builtin.set_stats": {"data": {path.stem: {"values": "{{ __server_values }}"}}}},
        ]
        names = {"server_storage": storage, "role_path": str(ROLES / "server")}
        plays.append(
            {
                "hosts": "localhost",
                "connection": "local",
                "gather_facts": False,
                "vars": {**defaults, **given, **names},
                "vars_files": [str(ROLES / "server/vars/main.yml")],
                "tasks": [{"block": check, "rescue": [failed]}],
            }
        )
    (folder / "play.yml").write_text(json.dumps(plays))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), str(folder / "play.yml")],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout[done.stdout.index("{\n") :])
    stats: dict[str, dict[str, Any]] = report["global_custom_stats"]
    return stats


@pytest.mark.parametrize("path", ANSIBLE, ids=lambda path: path.stem)
def test_the_roles_accept_the_variables_of_an_example(played: dict[str, dict[str, Any]], path: Path) -> None:
    found = played[path.stem]
    assert "refused" not in found, found
    objects = render(found["values"])
    (server,) = [item for item in objects if item["kind"] == "Deployment"]
    assert server["spec"]["template"]["spec"]["serviceAccountName"] == "nebari-mlflow"
