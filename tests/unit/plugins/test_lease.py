"""Who may work on a release, as a table of what the Lease says."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import Busy
from ansible_collections.nebari.mlflow.plugins.module_utils.release.lease import (
    PREFIX,
    STAMP,
    Holder,
    Lease,
    held_error,
    judge,
)
from ansible_collections.nebari.mlflow.plugins.module_utils.release.session import Session
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.process import Process
from ansible_collections.nebari.mlflow.plugins.modules import release_lease

NOW = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
DEAD = Process(4194303, "1")
ALIVE = Process.of(os.getppid())
ME = replace(Holder.here(None), host="here")


def lease(holder: Holder | None, age: float = 1) -> dict[str, Any]:
    """A Lease that was renewed `age` seconds ago."""
    spec: dict[str, Any] = {"leaseDurationSeconds": 15, "renewTime": (NOW - timedelta(seconds=age)).strftime(STAMP)}
    if holder is None:
        return {"metadata": {}, "spec": spec}
    return {"metadata": {"annotations": holder.annotations()}, "spec": {**spec, "holderIdentity": holder.identity}}


def other(host: str, process: Process, controller: Process | None = None) -> Holder:
    return Holder("ann@there pid 1", host, process, controller)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (None, "free"),
        (lease(None), "free"),
        (lease(other("there", ALIVE)), "held"),
        (lease(other("there", DEAD)), "held"),  # a pid means nothing on another host
        (lease(other("there", ALIVE), age=14), "held"),
        (lease(other("there", ALIVE), age=16), "stale"),
        (lease(other("here", ALIVE), age=16), "stale"),
        (lease(other("here", DEAD)), "stale"),
        (lease(other("here", replace(ALIVE, start="1"))), "stale"),  # the pid is another process by now
        (lease(other("here", ALIVE)), "held"),
        (lease(other("here", ALIVE, ALIVE)), "held"),
        (lease(other("here", ALIVE, DEAD)), "ending"),
        (lease(other("", ALIVE)), "held"),  # the holder's host is unknown
        (lease(ME), "free"),  # our own write, whose answer was lost
        (lease(other("there", ALIVE), age=-5), "held"),
    ],
)
def test_judge(found: dict[str, Any] | None, verdict: str) -> None:
    assert judge(found, ME, NOW) == verdict


def test_a_holder_without_a_time_is_stale() -> None:
    found = lease(other("there", ALIVE))
    found["spec"]["renewTime"] = "soon"
    assert judge(found, ME, NOW) == "stale"


def test_without_proc_only_time_counts() -> None:
    assert judge(lease(other("here", DEAD)), replace(ME, host=""), NOW) == "held"


def test_tasks_of_a_play_share_the_lease_while_it_lives() -> None:
    first, second = (replace(Holder.here(ALIVE, of_play=True), host="here") for _ in range(2))
    between = lease(first, age=100)
    between["spec"]["leaseDurationSeconds"] = 120
    assert judge(between, second, NOW) == "free"
    assert judge(between, ME, NOW) == judge(between, replace(Holder.here(DEAD, of_play=True), host="here"), NOW)
    assert judge(between, ME, NOW) == "held"
    assert judge(lease(other("here", DEAD, DEAD)), ME, NOW) == "stale"
    assert "120 s after" in str(held_error("one", "dev", {**between, "spec": {**between["spec"]}}, NOW))


@pytest.mark.parametrize(("controller", "is_play"), [(ALIVE, True), (None, False)])
def test_without_a_play_each_task_holds_the_lease_by_itself(controller: Process | None, is_play: bool) -> None:
    assert Holder.here(controller, of_play=True).is_play is is_play
    assert not Holder.here(controller).is_play


def test_the_refusal_says_who_and_since_when() -> None:
    found = lease(other("there", ALIVE), age=4)
    found["spec"]["acquireTime"] = "2026-03-04T11:58:00.000000Z"
    message = str(held_error("one", "dev", found, NOW))
    for words in ("one in namespace dev", "ann@there pid 1", "since 2026-03-04T11:58:00", "4 s ago", "Wait for it"):
        assert words in message


def test_a_process_is_told_from_its_successor() -> None:
    me = Process.of(os.getpid())
    assert me.alive()
    assert Process.parse(str(me)) == me
    assert not replace(me, start="7").alive()
    assert not DEAD.alive()
    assert Process.parse("") is None
    assert PREFIX.endswith("/")


class Api:
    """One Lease, as the API server keeps it."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None

    def now(self) -> datetime:
        return NOW

    def find(self, _path: str) -> Any:
        return self.lease

    def request(self, _method: str, _path: str, *, body: Any) -> Any:
        self.lease = body
        return body


@dataclass(frozen=True)
class Play:
    """What a module has to do with of its play."""

    api: Api
    process: Process
    state: str

    @property
    def options(self) -> Any:
        return SimpleNamespace(state=self.state, lasts=700)

    def take_over(self, lease: Lease) -> None:
        assert not lease.took_over

    def lease(self, *, of_play: bool) -> Lease:
        holder = replace(Holder.here(self.process, of_play=of_play), host="here")
        return Lease(self.api, "one", "dev", None, holder)  # type: ignore[arg-type]


def ask(api: Api, process: Process, state: str, *, check: bool = False) -> None:
    release_lease.ensure(Play(api, process, state), check_mode=check)  # type: ignore[arg-type]


def test_two_operations_on_a_release_take_turns() -> None:
    api, another = Api(), Process.of(os.getpid())
    ask(api, ALIVE, "held", check=True)
    assert api.lease is None
    ask(api, ALIVE, "held")
    assert api.lease is not None
    assert api.lease["spec"]["leaseDurationSeconds"] == 700
    ask(api, ALIVE, "held")  # a later task of the same play
    with pytest.raises(Busy, match="one in namespace dev is running"):
        ask(api, another, "held")
    ask(api, another, "free")  # not its own
    assert api.lease["spec"]["holderIdentity"]
    ask(api, ALIVE, "free")
    assert "holderIdentity" not in api.lease["spec"]
    ask(api, another, "held")


def test_a_task_goes_on_with_the_lease_of_its_play(monkeypatch: pytest.MonkeyPatch) -> None:
    """What deploys within an upgrade must neither refuse the play's own Lease nor give it back."""
    module = "ansible_collections.nebari.mlflow.plugins.module_utils.release.lease.host_id"
    monkeypatch.setattr(module, lambda: "here")
    api = Api()
    session = SimpleNamespace(
        api=api, controller=ALIVE, options=SimpleNamespace(name="one", namespace="dev"), progress=None
    )
    session._lease = lambda *, of_play: Session._lease(session, of_play=of_play)  # type: ignore[arg-type]

    def work() -> None:
        with Session.lease(session) as held:  # type: ignore[arg-type]
            held.check()
            assert api.lease is not None
            assert api.lease["spec"]["leaseDurationSeconds"] == 15

    work()
    assert api.lease is not None
    assert "holderIdentity" not in api.lease["spec"], "without a play that holds it, a task gives it back"
    with Session.lease(session, of_play=True) as held:  # type: ignore[arg-type]
        held.stays, held.lasts = True, 700
    work()
    assert api.lease["spec"]["holderIdentity"]
    assert api.lease["spec"]["leaseDurationSeconds"] == 700
