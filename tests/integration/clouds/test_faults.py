"""Every call of a run fails once, in five ways, and a run is killed at every write: one more run finishes the job.

`make test` tries a slice, `make campaign` all, and prints for each cloud and act what failed and what it took.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.errors import CloudError

from .lab import FAULTS, Lab

ACTS: dict[str, dict[str, Any]] = {
    "deploy": {},
    "remove": {"state": "absent"},
    "delete": {"state": "absent", "delete_data": True},
}
SLICE = {"deploy": 25, "remove": 50, "delete": 50}  # one case of so many, outside of the campaign
FIRST, SECOND = "by the same run", "by a second run"


def begin(lab: Lab, act: str) -> Any:
    """Return what others have before the act, with what it begins with in place."""
    lab.reset()
    if act != "deploy":
        lab.converge()
        lab.store()
    return lab.others()


def clean(lab: Lab, act: str) -> tuple[int, int]:
    """Return how many calls and writes the act makes when nothing fails."""
    begin(lab, act)
    lab.converge(**ACTS[act])
    return len(lab.cloud.calls), len(lab.cloud.writes())


def check(lab: Lab, act: str, before: Any, case: object) -> None:
    """Check that the act is done, once, and that nobody else's things were touched."""
    lab.cloud.faults.clear()
    assert not lab.converge(**ACTS[act])["changed"], case
    if act == "deploy":
        assert lab.duplicates() == 0, case
    else:
        assert lab.has_data() is (act == "remove"), case
    assert lab.others() == before, case


@contextmanager
def table(title: str, shown: bool, record: Callable[[str, object], None]) -> Iterator[dict[str, Counter[str]]]:
    """Count outcomes by what failed, and in the campaign print them."""
    outcomes: dict[str, Counter[str]] = {}
    yield outcomes
    if shown:
        rows = [f"  {kind:24} {row[FIRST]:4} {FIRST}, {row[SECOND]:4} {SECOND}" for kind, row in outcomes.items()]
        tried = sum(row.total() for row in outcomes.values())
        record("row", "\n".join([f"{title}: {tried} tried, {tried} converged", *rows]))


@pytest.mark.parametrize("act", ACTS)
def test_failed_call_is_made_good_by_the_next_run(
    lab: Lab, act: str, campaign: bool, record_property: Callable[[str, object], None]
) -> None:
    calls, _ = clean(lab, act)
    cases = [(nth, kind) for nth in range(calls) for kind in FAULTS]
    cases = cases if campaign else cases[:: SLICE[act] + 1]  # the step meets every kind of fault
    with table(f"{lab.provider} {act}, {calls} calls x {len(FAULTS)} faults", campaign, record_property) as outcomes:
        for nth, kind in cases:
            before = begin(lab, act)
            fault = lab.inject(kind, nth)
            took = FIRST
            try:
                lab.converge(**ACTS[act])
            except CloudError:
                took = SECOND
                lab.converge(**ACTS[act])
            assert fault.hits == 1, (nth, kind)
            check(lab, act, before, (nth, kind))
            outcomes.setdefault(kind, Counter())[took] += 1


@pytest.mark.parametrize("act", ACTS)
def test_a_killed_run_is_finished_by_the_next_one(
    lab: Lab, act: str, campaign: bool, record_property: Callable[[str, object], None]
) -> None:
    _, writes = clean(lab, act)
    cases = [(nth, after) for nth in range(writes) for after in (False, True)]
    cases = cases if campaign else [cases[writes]]
    with table(f"{lab.provider} {act}, kill -9 at {writes} writes", campaign, record_property) as outcomes:
        for nth, after in cases:
            before = begin(lab, act)
            assert lab.kill_at(nth, after, **ACTS[act]) == -9
            lab.converge(**ACTS[act])
            check(lab, act, before, (nth, after))
            outcomes.setdefault("after the write" if after else "before the write", Counter())[SECOND] += 1
