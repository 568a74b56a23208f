"""What the status says of room, from what the pods print."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from nebari_mlflow.cli import doctor
from nebari_mlflow.cli.report import _volume
from nebari_mlflow.cli.room import Room, read

MIB, GIB = 1024**2, 1024**3
SAID = """\
104857600|8388608|7000000.5|60|120|90.5
Filesystem     1024-blocks    Used Available Capacity Mounted on
/dev/vda1         10485760 1048576   9437184      10% /var/lib/postgresql/data
"""


def test_what_the_pod_prints_is_read() -> None:
    assert read(SAID) == Room(100 * MIB, 8 * MIB, 7_000_000, 60, 120, 90.5, 9 * GIB)


@pytest.mark.parametrize("said", ["", "psql: error: no", "1|2|3\nx", SAID.splitlines()[0]])
def test_something_else_is_no_figure(said: str) -> None:
    assert read(said) is None


@pytest.mark.parametrize(
    ("room", "daily", "days"),
    [
        (Room(300 * MIB, recent_runs=50, runs=100, days=100, free=GIB), 5 * MIB, 204),
        (Room(300 * MIB, recent_runs=100, runs=100, days=10, free=GIB), 30 * MIB, 34),  # ten days old
        (Room(300 * MIB, recent_runs=0, runs=100, days=100, free=GIB), 0, None),  # nobody works
        (Room(300 * MIB, recent_runs=19, runs=19, days=100, free=GIB), None, None),
        (Room(300 * MIB, recent_runs=100, runs=100, days=0.2, free=GIB), None, None),
        (Room(300 * MIB, recent_runs=50, runs=100, days=100, free=0), 5 * MIB, 0),
        (Room(300 * MIB), None, None),
    ],
)
def test_the_pace_is_that_of_the_last_runs(room: Room, daily: int | None, days: int | None) -> None:
    assert (room.daily, room.full_in_days) == (daily, days)


@pytest.mark.parametrize(
    ("index", "needs", "bloated"),
    [(300 * MIB, 100 * MIB, True), (199 * MIB, 100 * MIB, False), (60 * MIB, MIB, False), (300 * MIB, 0, False)],
)
def test_an_index_twice_its_needed_size_is_bloated(index: int, needs: int, bloated: bool) -> None:
    assert Room(GIB, index, needs).is_bloated is bloated


def test_the_status_says_how_long_the_room_lasts() -> None:
    claim = {"claim": "data", "size": "8Gi", "phase": "Bound"}
    assert _volume({**claim, "free": 7 * GIB, "daily": 6 * MIB, "full_in_days": 1194}) == [
        "on data (8Gi, Bound)",
        "7 GiB free",
        "grows by 6 MiB a day, full in 1194 days (by the runs of the last 30 days)",
    ]
    assert _volume({**claim, "free": 0}) == ["on data (8Gi, Bound)", "0 B free"]
    assert "more than 10 years" in _volume({"daily": 1, "full_in_days": 10**7})[0]
    assert _volume({}) == []


TARGET: Any = SimpleNamespace(namespace="dev", told_kubectl=lambda *words: " ".join(("kubectl", *words)))


@pytest.mark.parametrize(
    ("found", "names"),
    [
        (None, []),
        (Room(GIB), []),
        (Room(300 * MIB, recent_runs=50, runs=100, days=100, free=100 * MIB), ["database volume"]),
        (Room(GIB, 300 * MIB, 100 * MIB), ["index of metrics"]),
    ],
)
def test_the_doctor_warns_of_room_and_names_the_cure(found: Room | None, names: list[str]) -> None:
    checks = list(doctor.space(found, "demo-mlflow-postgresql-0", TARGET))
    assert [check.name for check in checks] == names
    assert all(check.result == "warning" and check.fix for check in checks)
    if "index of metrics" in names:
        assert checks[0].fix.endswith("psql -U postgres -d mlflow -c REINDEX TABLE CONCURRENTLY metrics")
