"""What the status and the doctor say of backups, from what their pods left behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from nebari_mlflow.cli import doctor
from nebari_mlflow.cli.upkeep import Task, Upkeep, ago, judge, words

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TARGET: Any = SimpleNamespace(command=lambda verb: f"nebari-mlflow {verb}")


def told(hours: int, result: str = "ok", verb: str = "backup", **more: Any) -> dict[str, Any]:
    at = (NOW - timedelta(hours=hours)).isoformat()
    return {"verb": verb, "at": at, "result": result, "id": f"id-{hours}", "bytes": 7, "secrets": True, **more}


@pytest.mark.parametrize(
    ("messages", "succeeded", "backup", "failure"),
    [
        ([], "", "", ""),
        ([told(5), told(2), told(9)], "", "id-2", ""),
        ([told(5), told(2, "failed", cause="disk full")], "", "id-5", "disk full"),
        ([told(2), told(5, "failed", cause="disk full")], "", "id-2", ""),  # a later one went well
        ([told(2, verb="drill", backup={"id": "x", "bytes": 1, "secrets": False})], "", "", ""),
        ([told(1, "failed", cause="no")], "2026-02-01T00:00:00Z", "", "no"),  # the pod of the good one is gone
    ],
)
def test_the_last_good_run_and_a_failure_since(
    messages: list[dict[str, Any]], succeeded: str, backup: str, failure: str
) -> None:
    found = judge(messages, "backup", succeeded)
    assert (found.backup, found.failure) == (backup, failure)
    assert bool(found.at) is bool(backup or succeeded)


def test_a_drill_tells_which_backup_it_rehearsed() -> None:
    message = told(2, verb="drill", backup={"id": "the-backup", "bytes": 1, "secrets": True})
    assert judge([message], "drill", "").backup == "the-backup"


def at(hours: int) -> str:
    return (NOW - timedelta(hours=hours)).isoformat()


@pytest.mark.parametrize(
    ("upkeep", "results", "said"),
    [
        (Upkeep(makes_backups=True, backup=Task(at(3), "x", secrets=True)), ["ok"], "3 h old"),
        (Upkeep(makes_backups=True, backup=Task(at(72), "x", secrets=True)), ["warning"], "more than 2 days"),
        (Upkeep(makes_backups=True), ["warning"], "knows of none"),
        (Upkeep(), ["warning"], "by a version that cannot make backups"),
        (Upkeep(makes_backups=True, backup=Task(at(3), "x", secrets=False)), ["warning"], "names no public key"),
        (Upkeep(makes_backups=True, backup=Task(at(3), "x", failed_at=at(1), failure="full")), ["warning"], "full"),
        (
            Upkeep(makes_backups=True, backup=Task(at(3), "x", secrets=True), drill=Task(failure="differs")),
            ["ok", "warning"],
            "3 h old",
        ),
    ],
)
def test_the_doctor_warns_of_old_missing_and_failed_backups(upkeep: Upkeep, results: list[str], said: str) -> None:
    checks = list(doctor.backups(upkeep, NOW, TARGET))
    assert [check.result for check in checks] == results
    assert said in checks[0].cause
    assert all(check.fix for check in checks if check.result == "warning")


@pytest.mark.parametrize(
    ("minutes", "said"), [(0, "0 min"), (119, "119 min"), (120, "2 h"), (2879, "47 h"), (2880, "2 days")]
)
def test_ages_are_words(minutes: int, said: str) -> None:
    assert words(timedelta(minutes=minutes)) == said


def test_the_api_servers_times_are_understood() -> None:
    assert ago("2026-03-01T11:00:00Z", NOW) == timedelta(hours=1)
    assert ago("", NOW) is None
