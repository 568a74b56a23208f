"""Checks of permissions remember the person and the experiment, and read grants each time."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from nebari_mlflow_server.lookups import spare
from nebari_mlflow_server.memory import Recent
from nebari_mlflow_server.people import Person, current


class Store:
    """Users as MLflow's store has them, counting how often they are read."""

    def __init__(self) -> None:
        self.admins: set[str] = set()
        self.reads: list[str] = []

    def get_user(self, username: str) -> Any:
        self.reads.append(username)
        return SimpleNamespace(username=username, is_admin=username in self.admins)

    def update_user(self, username: str, is_admin: bool = False) -> None:
        (self.admins.add if is_admin else self.admins.discard)(username)

    def create_user(self, username: str, password: str, is_admin: bool = False) -> None:
        assert password
        self.update_user(username, is_admin)

    def delete_user(self, username: str) -> None:
        self.admins.discard(username)


class Auth:
    """MLflow's module, with runs that are in an experiment each."""

    def __init__(self) -> None:
        self.store = Store()
        self.runs = {"a": "1", "b": "2"}
        self.fetched: list[str] = []

    def _fetch_or_none(self, fetch: Any, resource_id: str) -> Any:
        return fetch(resource_id)

    def get_run(self, run_id: str) -> Any:
        self.fetched.append(run_id)
        home = self.runs.get(run_id)
        return home and SimpleNamespace(info=SimpleNamespace(experiment_id=home))

    def _run_requirement(self, run_id: str, action: str) -> Any:
        run = self._fetch_or_none(self.get_run, run_id)
        return run and (("experiment", run.info.experiment_id), [action])


@pytest.fixture
def auth() -> Iterator[Auth]:
    made = Auth()
    spare(made, 30)
    token = current.set(Person("alice"))
    yield made
    current.reset(token)


def test_the_person_is_read_once_for_many_checks(auth: Auth) -> None:
    assert [auth.store.get_user("alice").is_admin for _ in range(5)] == [False] * 5
    assert auth.store.reads == ["alice"]


def test_a_change_of_the_person_counts_at_once(auth: Auth) -> None:
    assert not auth.store.get_user("alice").is_admin
    auth.store.update_user("alice", is_admin=True)
    assert auth.store.get_user("alice").is_admin
    auth.store.delete_user(username="alice")
    assert not auth.store.get_user("alice").is_admin
    auth.store.create_user("alice", "random", is_admin=True)
    assert auth.store.get_user("alice").is_admin


def test_other_people_are_read_each_time(auth: Auth) -> None:
    for _ in range(2):
        auth.store.get_user("bob")
    current.set(None)
    for _ in range(2):
        auth.store.get_user("alice")
    assert auth.store.reads == ["bob", "bob", "alice", "alice"]


def test_the_experiment_of_a_run_is_looked_up_once(auth: Auth) -> None:
    wanted = [auth._run_requirement(run, action) for run in ("a", "b") for action in ("read", "update", "read")]
    homes = [(requirement[0][1], requirement[1]) for requirement in wanted]
    assert homes == [(home, [action]) for home in ("1", "2") for action in ("read", "update", "read")]
    assert auth.fetched == ["a", "b"]
    assert auth._fetch_or_none(auth.get_run, "b").info.experiment_id == "2"


def test_a_run_that_is_missing_is_looked_for_again(auth: Auth) -> None:
    assert auth._run_requirement("c", "read") is None
    auth.runs["c"] = "3"
    assert auth._run_requirement("c", "read")[0] == ("experiment", "3")


def test_what_is_remembered_ends_and_is_bounded() -> None:
    now = [0.0]
    recent: Recent[int] = Recent(30, 2, lambda: now[0])
    for number, key in enumerate("abc"):
        recent.keep(key, number)
    assert [recent.get(key) for key in "abc"] == [None, 1, 2]
    now[0] = 30.0
    assert recent.get("c") is None
    assert Recent(0, 2).get("a") is None
