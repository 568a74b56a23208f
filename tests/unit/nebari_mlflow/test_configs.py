"""Each file in configs/ is a case: `PROVIDER.happy|error.WHAT.yaml`, given to the real `nebari validate`.

An error case says in its first line what the person reads. A happy case has the play's variables beside it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from nebari_mlflow.cli import config_file, upstream
from nebari_mlflow.errors import UpstreamError
from nebari_mlflow.plugin import variables
from nebari_mlflow.plugin.providers import PROVIDERS
from nebari_mlflow.plugin.stage_outputs import COMMON, Output

CASES = Path(__file__).parent / "configs"
HAPPY = sorted(CASES.glob("*.happy.*.yaml"))
ERRORS = sorted(CASES.glob("*.error.*.yaml"))
EXAMPLES = sorted((Path(__file__).parents[3] / "docs/examples/nebari").iterdir())
OUTPUTS: dict[str, dict[str, Any]] = {
    "stages/02-infrastructure": {
        "kubeconfig_filename": {"value": "/somewhere/NEBARI_KUBECONFIG"},
        "cluster_oidc_issuer_url": {"value": "https://issuer.example.org/tenant/"},
        "resource_group_name": {"value": "demo-dev"},
        "project_id": {"value": "test-project"},
    },
    "stages/04-kubernetes-ingress": {"domain": "nebari.example.org"},
    "stages/07-kubernetes-services": {
        "forward-auth-middleware": {"value": {"name": "traefik-forward-auth"}},
        "forward-auth-service": {"value": {"name": "forwardauth-service"}},
    },
}

pytestmark = pytest.mark.usefixtures("_clouds")


def validate(path: Path) -> Result:
    from _nebari.cli import create_cli

    return CliRunner().invoke(create_cli(), ["validate", "--config", str(path)])


def load(path: Path) -> Any:
    from nebari.plugins import nebari_plugin_manager

    return nebari_plugin_manager.read_config(path)


@pytest.mark.parametrize("path", HAPPY, ids=lambda path: path.stem)
def test_a_configuration_is_accepted_and_becomes_these_variables(path: Path) -> None:
    result = validate(path)
    assert "Successfully validated" in result.output, result.output
    config = load(path)
    if not config.mlflow.enabled:
        return
    built = variables.build(config, OUTPUTS)
    golden = path.with_suffix(".vars.yml")
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(yaml.safe_dump(built, sort_keys=True, default_flow_style=None, width=150))
    assert built == yaml.safe_load(golden.read_text())


def test_the_configuration_of_the_readme_is_accepted(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    (shown,) = re.findall(r"```yaml\n(.*?)```", readme, re.S)
    assert len(shown.splitlines()) == 10
    path = tmp_path / "nebari-config.yaml"
    path.write_text(shown)
    assert "Successfully validated" in validate(path).output
    assert "`nebari deploy -c nebari-config.yaml`" in readme


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_of_the_documentation_is_accepted(path: Path) -> None:
    result = validate(path)
    assert "Successfully validated" in result.output, result.output
    assert variables.build(load(path), OUTPUTS)["mlflow_project_name"] == "demo"


@pytest.mark.parametrize("path", ERRORS, ids=lambda path: path.stem)
def test_a_mistake_is_refused_in_words_that_help(path: Path) -> None:
    result = validate(path)
    expected = path.read_text().splitlines()[0].removeprefix("# ")
    assert result.exit_code != 0
    assert expected in " ".join(result.output.split())
    assert "CANARY" not in result.output


@pytest.mark.parametrize(
    ("case", "output"),
    [
        (path, output)
        for path in HAPPY
        if path.stem.endswith("minimal")
        for output in COMMON + PROVIDERS[path.stem.split(".")[0]].outputs
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else value.variable,
)
def test_a_missing_output_is_named_with_its_stage(case: Path, output: Output) -> None:
    stage = {name: value for name, value in OUTPUTS[output.stage].items() if name != output.name}
    with pytest.raises(UpstreamError, match=f"{output.stage} gave no {output.name}"):
        variables.build(load(case), {**OUTPUTS, output.stage: stage})


@pytest.mark.parametrize("path", HAPPY, ids=lambda path: path.stem)
def test_without_outputs_the_variables_are_a_part_of_those_with(path: Path) -> None:
    config = load(path)
    if config.mlflow.enabled:
        assert set(variables.build(config, None)) <= set(variables.build(config, OUTPUTS))


def test_a_teardown_needs_the_kubeconfig_only() -> None:
    config = load(CASES / "aws.happy.minimal.yaml")
    kubeconfig = {"kubeconfig_filename": {"value": "/somewhere"}}
    built = variables.build(config, {"stages/02-infrastructure": kubeconfig}, removal=True)
    assert built["mlflow_kubeconfig"] == "/somewhere"
    with pytest.raises(UpstreamError):
        variables.build(config, {}, removal=True)


def test_nebari_s_own_stages_see_the_address(tmp_path: Path) -> None:
    first = load(CASES / "local.happy.minimal.yaml")
    other = tmp_path / "other.yaml"
    other.write_text("project_name: other\nprovider: local\nmlflow: {enabled: false}\n")
    second = load(other)
    environment = first.jupyterhub.overrides["singleuser"]["extraEnv"]
    assert environment["MLFLOW_TRACKING_URI"] == "http://demo-mlflow-tracking.dev.svc:5000"
    dumped = first.profiles.model_dump()["dask_worker"]["Small Worker"]
    assert dumped["worker_extra_container_config"]["envFrom"][0]["configMapRef"]["name"] == "demo-mlflow-client"
    assert second.jupyterhub.overrides == {}, "one configuration does not leak into the next"
    assert "worker_extra_container_config" not in second.profiles.model_dump()["dask_worker"]["Small Worker"]


def test_a_value_from_the_environment_goes_through_the_same_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEBARI_SECRET__mlflow__replicas", "many")
    with pytest.raises(SystemExit):
        load(CASES / "local.happy.minimal.yaml")


def test_peers_password_is_reported_as_obsolete(caplog: pytest.LogCaptureFixture) -> None:
    load(CASES / "local.happy.peer-keys.yaml")
    assert "mlflow.local.minio_root_password is no longer needed" in caplog.text
    assert "a long one of the peer" not in caplog.text


def test_the_command_line_is_mounted_below_nebari(tmp_path: Path) -> None:
    from _nebari.cli import create_cli

    missing = str(tmp_path / "nebari-config.yaml")
    result = CliRunner().invoke(create_cli(), ["mlflow", "status", "--config", missing, "--json"])
    assert result.exit_code == 1
    assert yaml.safe_load(result.stdout)["error"]["code"] == "NML101"


def test_several_files_of_a_kubeconfig_are_what_every_program_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_file.load(CASES / "local.happy.everything.yaml")
    monkeypatch.setenv("KUBECONFIG", "/a:/b")
    assert upstream.kubeconfig_of(config, "") == ""
    assert variables.build(config, upstream.outputs(config, ""))["mlflow_kubeconfig"] == "/a:/b"
    assert upstream.kubeconfig_of(config, "/given") == "/given"
