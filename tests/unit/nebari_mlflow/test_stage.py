"""The stage as Nebari calls it, without a play: its place, its verdict, and a teardown that never raises."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nebari_mlflow.errors import PlayError
from nebari_mlflow.play.runner import Result
from nebari_mlflow.plugin import stage
from nebari_mlflow.plugin.schema import Mlflow
from nebari_mlflow.plugin.stage import MlflowStage, StageFailed

OUTPUTS: dict[str, Any] = {
    "tracking_uri": "http://demo-mlflow-tracking.dev.svc:5000",
    "ui_url": "",
    "artifact_uri": "/mlflow/artifacts",
    "service": {"name": "demo-mlflow-tracking", "namespace": "dev", "port": 5000},
    "release": {"name": "demo-mlflow", "namespace": "dev", "revision": 1},
    "versions": {"mlflow": "3.17.2", "chart": "0.1.0"},
    "verified": True,
    "changes": [],
}


def make(**block: Any) -> MlflowStage:
    return MlflowStage(output_directory=Path(), config=SimpleNamespace(mlflow=Mlflow(**block)))


def test_a_rendered_text_is_data_for_ansible_too() -> None:
    text = "{{ lookup('pipe', 'true') }}"
    config = SimpleNamespace(
        project_name="demo", namespace="dev", provider="local", domain="", mlflow=Mlflow(image_registry=text)
    )
    files = MlflowStage(output_directory=Path(), config=config).render()
    written = files[Path("stages/mlflow/vars.yml")]
    assert f"mlflow_image_registry: !unsafe '{text.replace(chr(39), chr(39) * 2)}'\n" in written
    assert "mlflow_project_name: demo\n" in written


def test_it_comes_after_jupyterhub_where_the_peer_s_stage_was() -> None:
    from _nebari.stages.kubernetes_services import KubernetesServicesStage

    assert MlflowStage.priority == 102 > KubernetesServicesStage.priority
    assert MlflowStage.name == "mlflow"


@pytest.mark.parametrize(
    ("block", "given"),
    [
        ({}, {"verified": {"value": True}}),
        ({"verify": False}, {"verified": {"value": False}}),
        ({"enabled": False}, {}),
    ],
    ids=["proven", "not asked for", "switched off"],
)
def test_a_check_is_content(block: dict[str, Any], given: dict[str, Any]) -> None:
    make(**block).check({"stages/mlflow": given})


@pytest.mark.parametrize("given", [{}, {"stages/mlflow": {}}, {"stages/mlflow": {"verified": {"value": False}}}])
def test_a_check_raises_since_nebari_ignores_what_it_returns(
    given: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StageFailed) as caught:
        make().check(given)
    assert caught.value.exit_code == 1
    assert "NML408" in capsys.readouterr().err


def test_outputs_have_the_form_of_every_other_stage_s() -> None:
    given = stage._outputs(Result(OUTPUTS, False, 1.0, ""))
    assert given == {name: {"value": value} for name, value in OUTPUTS.items()}


@pytest.mark.parametrize("change", [{"tracking_uri": "ftp://x"}, {"service": {}}, {"verified": None}], ids=str)
def test_outputs_that_are_something_else_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(PlayError, match="NML421"):
        stage._outputs(Result({**OUTPUTS, **change}, False, 1.0, "/log"))


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_a_teardown_goes_on_whatever_happens(error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr("nebari_mlflow.plugin.teardown.remove", broken)
    status: dict[str, bool] = {}
    with make().destroy({}, status):
        pass
    assert status == {"stages/mlflow": False}
