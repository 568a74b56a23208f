"""What status makes of pods; their files are from a real cluster, as the release module's tests read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nebari_mlflow.cli import doctor, status
from nebari_mlflow.cli.status import ACTIVE, BLOCKED, WAITING, Status

PODS = Path(__file__).parents[1] / "plugins/pods"
DEPLOY = "nebari-mlflow deploy --config nebari-config.yaml"


def judged(*names: str, wanted: int = 1, ready: int = 0) -> Status:
    pods: list[dict[str, Any]] = [json.loads((PODS / f"{name}.json").read_text()) for name in names]
    found = Status(ACTIVE, replicas={"wanted": wanted, "ready": ready})
    status._judge_pods(found, pods, DEPLOY)
    return found


@pytest.mark.parametrize("name", ["pull", "invalid-name", "config", "start"])
def test_what_needs_a_person_is_blocked_with_cause_and_fix(name: str) -> None:
    found = judged("ready", name)
    assert found.state == BLOCKED
    assert found.cause.startswith("Pod/")
    assert found.fix


@pytest.mark.parametrize("name", ["unready", "init-runs", "unschedulable"])
def test_what_may_end_by_itself_is_waited_for(name: str) -> None:
    found = judged(name)
    assert found.state == WAITING
    assert found.cause.startswith("0/1 ready: Pod/")
    assert found.fix.startswith("Add a node") is (name == "unschedulable")


def test_pods_that_are_not_there_yet_are_waited_for() -> None:
    assert judged(wanted=2, ready=1).cause == "1/2 ready: pods are being created."


def test_all_ready_is_active() -> None:
    assert judged("ready", ready=1).state == ACTIVE


def test_a_server_that_somebody_stopped_says_how_to_start_it() -> None:
    found = judged(wanted=0)
    assert (found.state, found.cause, found.fix) == (BLOCKED, "The server is scaled to 0.", DEPLOY)


def test_the_note_of_an_upgrade_is_read_and_nothing_else() -> None:
    noted = {"metadata": {"annotations": {"mlflow.nebari.dev/upgrade": '{"from": "mlflow:1"}'}}}
    assert status._upgrade(noted) == {"from": "mlflow:1"}
    assert status._upgrade({}) == status._upgrade({"metadata": {}}) == {}


ROUTE = {
    "address": "https://a.org/",
    "through": "",
    "status": 0,
    "says": "Pod/x asks for a login (HTTP 307).",
    "problems": [],
}
LACKING = {"cause": "There is no IngressClass 'nginx'.", "fix": "Set route.ingress.className."}


@pytest.mark.parametrize(
    ("route", "results"),
    [
        ({}, []),
        ({**ROUTE, "ok": True}, [("ok", ROUTE["says"], "")]),
        ({**ROUTE, "ok": None}, [("ok", ROUTE["says"], "")]),
        ({**ROUTE, "ok": False}, [("warning", ROUTE["says"], "")]),
        ({**ROUTE, "ok": False, "problems": [LACKING]}, [("warning", LACKING["cause"], LACKING["fix"])]),
    ],
    ids=["no route", "reached", "not tried", "an error", "a controller is missing"],
)
def test_the_doctor_says_whether_the_ui_is_reached(route: dict[str, Any], results: list[tuple[str, str, str]]) -> None:
    assert [(check.result, check.cause, check.fix) for check in doctor._route(route)] == results
