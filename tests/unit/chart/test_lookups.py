"""Checks of permissions remember the person and the experiment, and read grants each time."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from nebari_mlflow_server.lookups import AWAY_SECONDS, Reader, spare
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
        self.compared: list[str] = []

    def _scope_matches_native_route(self, routes: list[str], scope: dict[str, str]) -> bool:
        self.compared.append(scope["path"])
        return f"{scope['method']} {scope['path']}" in routes

    def _fetch_or_none(self, fetch: Any, resource_id: str) -> Any:
        return fetch(resource_id)

    def get_run(self, run_id: str) -> Any:
        self.fetched.append(run_id)
        home = self.runs.get(run_id)
        return home and SimpleNamespace(info=SimpleNamespace(experiment_id=home))

    def _run_requirement(self, run_id: str, action: str) -> Any:
        run = self._fetch_or_none(self.get_run, run_id)
        return run and (("experiment", run.info.experiment_id), [action])


class Message:
    """What a request says, as protobuf's messages are."""

    def __init__(self) -> None:
        self.text = ""

    def CopyFrom(self, other: Message) -> None:  # noqa: N802
        self.text = other.text


class OtherMessage(Message):
    """What a request of another kind says."""


class Handlers:
    """MLflow's module that parses requests, counting how often it does."""

    def __init__(self) -> None:
        self.parsed: list[Any] = []

    def parse_dict(self, values: dict[str, str], message: Message) -> None:
        self.parsed.append(values)
        message.text = values["text"]


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
def auth(handlers: Handlers) -> Iterator[Auth]:
    made = Auth()
    spare(made, handlers, 30)
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


@pytest.mark.usefixtures("auth")
def test_a_request_is_parsed_once_for_its_check_and_its_handler(handlers: Handlers) -> None:
    body = {"text": "ten metrics"}
    seen, handled, other = Message(), Message(), OtherMessage()
    handlers.parse_dict(body, seen)
    seen.text = "changed by the check"
    handlers.parse_dict(body, handled)
    assert (handled.text, handlers.parsed) == ("ten metrics", [body])
    handlers.parse_dict(body, other)
    handlers.parse_dict({"text": "another request"}, handled)
    assert (other.text, handled.text, len(handlers.parsed)) == ("ten metrics", "another request", 3)


@pytest.mark.usefixtures("auth")
def test_a_request_that_cannot_be_parsed_is_refused_each_time(handlers: Handlers) -> None:
    body = {"tags": "no text"}
    for _ in range(2):
        with pytest.raises(KeyError):
            handlers.parse_dict(body, Message())
    assert handlers.parsed == [body, body]


def test_a_path_is_compared_with_the_routes_once(auth: Auth) -> None:
    routes = ["POST /gateway", "GET /api"]
    asked = [("POST", "/gateway"), ("GET", "/gateway"), ("GET", "/api"), ("GET", f"/{'x' * 400}")]
    scopes = [{"type": "http", "method": method, "path": path} for method, path in asked]
    for _ in range(2):
        assert [auth._scope_matches_native_route(routes, scope) for scope in scopes] == [True, False, True, False]
    assert len(auth.compared) == len(asked) + 1, "a very long one is not remembered"


class Connection:
    """A database's, which works or not."""

    def __init__(self, database: Database) -> None:
        self.database, self.is_closed = database, False

    def exec_driver_sql(self, text: str, parameters: dict[str, int]) -> Any:
        if self.database.is_away:
            raise ConnectionError("the server closed the connection")
        return SimpleNamespace(all=lambda: [(text, parameters["user"])])

    def invalidate(self) -> None:
        raise ConnectionError("it is closed")

    def close(self) -> None:
        self.is_closed = True


class Database:
    """A database with its connections, and a clock."""

    def __init__(self) -> None:
        self.is_away, self.now = False, 100.0
        self.opened: list[Connection] = []

    def connect(self) -> Connection:
        if self.is_away:
            raise ConnectionError("connection refused")
        self.opened.append(Connection(self))
        return self.opened[-1]

    def reader(self) -> Reader:
        return Reader(self.connect, lambda: self.now)


def test_grants_are_read_on_one_connection() -> None:
    database = Database()
    reader = database.reader()
    assert [reader.rows("SELECT", {"user": user}) for user in (1, 2)] == [[("SELECT", 1)], [("SELECT", 2)]]
    assert len(database.opened) == 1


def test_a_connection_that_fails_is_replaced_after_a_while() -> None:
    database = Database()
    reader = database.reader()
    reader.rows("SELECT", {"user": 1})
    database.is_away = True
    assert reader.rows("SELECT", {"user": 1}) is None, "MLflow's own way says what is wrong"
    database.is_away = False
    assert reader.rows("SELECT", {"user": 1}) is None, "not tried for every request"
    database.now += AWAY_SECONDS
    assert reader.rows("SELECT", {"user": 1}) == [("SELECT", 1)]
    assert len(database.opened) == 2


def test_a_busy_connection_holds_nobody_up() -> None:
    reader = Database().reader()
    with reader._lock:
        assert reader.rows("SELECT", {"user": 1}) is None
    assert reader.rows("SELECT", {"user": 1}) == [("SELECT", 1)]


def test_what_is_remembered_ends_and_is_bounded() -> None:
    now = [0.0]
    recent: Recent[int] = Recent(30, 2, lambda: now[0])
    for number, key in enumerate("abc"):
        recent.keep(key, number)
    assert [recent.get(key) for key in "abc"] == [None, 1, 2]
    now[0] = 30.0
    assert recent.get("c") is None
    assert Recent(0, 2).get("a") is None
