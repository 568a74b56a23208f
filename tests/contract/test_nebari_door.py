"""What the Python package and the collection, the chart or the documentation say twice is the same."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nebari_mlflow import names, reference
from nebari_mlflow.play import view
from nebari_mlflow.plugin import notebooks, stage_outputs
from nebari_mlflow.plugin.providers.volume import Local
from nebari_mlflow.plugin.schema import Mlflow

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "nebari_mlflow"
ROLES = ROOT / "collections/ansible_collections/nebari/mlflow/roles"
NAMES = yaml.safe_load((ROLES / "inputs/vars/main.yml").read_text())["__inputs_patterns"]
GOLDEN = sorted((ROOT / "tests/unit/nebari_mlflow/configs").glob("*.vars.yml"))


def options(role: str) -> dict[str, Any]:
    specs = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text())["argument_specs"]
    found: dict[str, Any] = specs["main"]["options"]
    return found


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_variable_is_an_input_of_the_playbook(path: Path) -> None:
    built = yaml.safe_load(path.read_text())
    provider = built["mlflow_provider"]
    known = set(options("inputs")) | set(options(provider))
    assert set(built) <= known


def test_the_limit_of_a_deploy_has_one_default() -> None:
    assert Mlflow().timeout == options("inputs")["mlflow_timeout"]["default"]


def test_volume_options_and_defaults_match_the_role() -> None:
    fields = Local.model_fields
    role = options("local")
    for name in ("size", "storage_class", "access_mode"):
        assert fields[name].default == role[f"mlflow_local_{name}"]["default"]


def test_clients_get_the_address_that_the_play_returns() -> None:
    facts = yaml.safe_load((ROLES / "server/vars/main.yml").read_text())["__server_facts"]
    rendered = facts["tracking_uri"].replace("{{ __server_release }}", names.release("My_Demo"))
    rendered = rendered.replace("{{ mlflow_namespace }}", "dev")
    assert rendered == names.tracking_uri("My_Demo", "dev")


def test_notebooks_and_dask_pods_go_through_the_server_alike() -> None:
    template = (ROLES / "server/files/mlflow/templates/tracking/client.yaml").read_text()
    charted = re.search(r"^data:\n(.*)", template, re.S | re.M)
    assert charted
    found = dict(re.findall(r'^  (\w+): "(\w+)"$', charted[1], re.M))
    assert found == names.THROUGH_THE_SERVER
    assert f"{names.TRACKING_VARIABLE}: " in charted[1]


def test_dask_pods_read_the_configmap_that_the_chart_makes() -> None:
    template = (ROLES / "server/files/mlflow/templates/tracking/client.yaml").read_text()
    assert 'name: {{ include "mlflow.fullname" . }}-client' in template
    profile = SimpleNamespace()
    notebooks.add_to_dask(profile, names.client_config("demo"))
    assert profile.worker_extra_container_config["envFrom"][0]["configMapRef"]["name"] == "demo-mlflow-client"


def test_the_route_is_one_that_the_chart_takes() -> None:
    schema = json.loads((ROLES / "server/files/mlflow/values.schema.json").read_text())
    route = next(
        yaml.safe_load(path.read_text())["mlflow_route"] for path in GOLDEN if "mlflow_route" in path.read_text()
    )
    from ansible_collections.nebari.mlflow.plugins.filter.unknown import unknown_keys

    assert unknown_keys({"route": route}, schema) == []


def test_the_reference_page_is_made_from_the_schema() -> None:
    assert (ROOT / "docs/reference/config.md").read_text() == reference.markdown()


@pytest.mark.parametrize("block", reference.EXAMPLES)
def test_the_example_of_a_block_is_accepted_and_sets_it(block: str) -> None:
    given = yaml.safe_load(reference.EXAMPLES[block])
    found = Mlflow.model_validate(given["mlflow"])
    for name in block.split(".")[1:]:
        found = getattr(found, name)
    assert found.model_fields_set


def test_every_block_has_an_example() -> None:
    page = reference.markdown()
    for section in re.findall(r"^## `(mlflow[^`]*)`$", page, re.M):
        last = section.rpartition(".")[2]
        assert section in reference.EXAMPLES or f"{last}:" in reference.EXAMPLES[section.rpartition(".")[0]], section


def test_the_json_schema_is_the_block_s() -> None:
    command = [sys.executable, "-m", "nebari_mlflow.reference", "--json-schema"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == Mlflow.model_json_schema()


@given(st.from_regex(r"^[A-Za-z][A-Za-z0-9\-_]{1,14}[A-Za-z0-9]\Z", fullmatch=True))
def test_nebaris_project_names_are_accepted_by_the_playbook(project: str) -> None:
    assert re.match(next(rule["pattern"] for rule in NAMES if rule["name"] == "mlflow_project_name"), project)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_a_library_neither_prints_nor_exits(path: Path) -> None:
    """Programs may: what Nebari imports may not."""
    if path.stem in {"with_parent", "reference"}:
        return
    calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert not {"print", "exit", "quit", "sys.exit", "os._exit"} & set(calls)


def test_every_key_is_documented() -> None:
    schema = Mlflow.model_json_schema()
    nodes = [schema, *schema["$defs"].values()]
    missing = [name for node in nodes for name, field in node["properties"].items() if not field.get("description")]
    assert missing == []


def test_the_package_is_imported_without_what_it_runs() -> None:
    """Nebari imports it at every start."""
    heavy = ("ansible", "ansible_runner", "rich", "kubernetes", "typer", "pydantic", "pluggy")
    script = f"import sys, nebari_mlflow; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("module", "importer"), [("ansible_runner", "runner"), ("stage_outputs", "stage_outputs"), ("nebari", "stage")]
)
def test_the_layers_stay_apart(module: str, importer: str) -> None:
    """One module each knows ansible-runner, the other stages' outputs, and Nebari."""
    if module == "stage_outputs":
        pattern = r"stage_outputs\["
        allowed = {"stage_outputs", "stage"}
    else:
        pattern = rf"^\s*(from|import) {module}\b"
        allowed = {importer}
    found = {path.stem for path in PACKAGE.rglob("*.py") if re.search(pattern, path.read_text(), re.M)}
    assert found <= allowed
    assert importer in found


@pytest.mark.parametrize(("package", "above"), [("play", {"plugin", "cli"}), ("plugin", {"cli"})])
def test_packages_import_in_one_direction(package: str, above: set[str]) -> None:
    nodes = [node for path in (PACKAGE / package).rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    parts = {part for node in nodes if isinstance(node, ast.ImportFrom) for part in (node.module or "").split(".")}
    assert parts
    assert not parts & above


def test_every_upstream_output_fills_a_known_variable() -> None:
    known = set(options("inputs"))
    assert {output.variable for output in stage_outputs.COMMON} <= known


def test_every_change_that_a_module_reports_has_a_mark() -> None:
    modules = (ROLES.parent / "plugins/module_utils").rglob("*.py")
    actions = {action for path in modules for action in re.findall(r'(?:Change|Entry)\("(\w+)"', path.read_text())}
    assert actions == set(view.MARKS)
