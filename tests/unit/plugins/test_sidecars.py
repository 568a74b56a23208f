"""A container that a cluster adds to a Job's pod and that never ends is named, with the setting that keeps it out."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.health.sidecars import SETTINGS, of_pod

RUNNING: dict[str, Any] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
DONE: dict[str, Any] = {"terminated": {"exitCode": 0}}
FAILED: dict[str, Any] = {"terminated": {"exitCode": 78}}


def pod(**states: dict[str, Any]) -> dict[str, Any]:
    statuses = [{"name": name.replace("_", "-"), "state": state} for name, state in states.items()]
    metadata = {"name": "one-migrate-1", "labels": {"app.kubernetes.io/component": "migrate"}}
    return {"metadata": metadata, "status": {"phase": "Running", "containerStatuses": statuses}}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_known_sidecar_is_named_with_its_setting(name: str) -> None:
    problem = of_pod(pod(migrate=DONE, **{name: RUNNING}), ["migrate"])
    assert problem is not None
    kind, setting = SETTINGS[name]
    assert (
        f"container migrate ended with exit code 0, but {name}, which is not of the chart, still runs" in problem.cause
    )
    assert f"set migrate.{kind} to {{{setting}}}" in problem.fix
    assert problem.grace is not None
    assert problem.grace < 60


def test_an_unknown_sidecar_is_named_too() -> None:
    problem = of_pod(pod(migrate=DONE, log_shipper=RUNNING), ["migrate"])
    assert problem is not None
    assert "log-shipper, which is not of the chart" in problem.cause
    assert "migrate.podLabels or migrate.podAnnotations" in problem.fix


def test_failure_of_the_charts_own_container_is_shown() -> None:
    problem = of_pod(pod(migrate=FAILED, istio_proxy=RUNNING), ["migrate"])
    assert problem is not None
    assert "exit code 78" in problem.cause
    assert problem.log_of == "migrate"


@pytest.mark.parametrize(
    "states",
    [
        {"migrate": RUNNING, "istio_proxy": RUNNING},
        {"migrate": DONE},
        {"migrate": DONE, "istio_proxy": DONE},
        {"migrate": {"waiting": {}}, "istio_proxy": RUNNING},
        {"istio_proxy": RUNNING},
    ],
)
def test_a_sidecar_beside_work_that_goes_on_is_no_problem(states: dict[str, Any]) -> None:
    assert of_pod(pod(**states), ["migrate"]) is None
