"""Both values of a password are tried while a rotation runs, and every program that knows one value may know two."""

from __future__ import annotations

import sys
import time
from types import ModuleType
from typing import Any

import mlflow_schema
import pytest
from nebari_mlflow_backup import rekey, report
from nebari_mlflow_server import rotation, sitecustomize

from tests.unit.chart.configurations import EXTERNAL_URI
from tests.unit.chart.rendering import RELEASE, Object, containers, one, pods, render

WRONG = 'FATAL:  password authentication failed for user "mlflow"'


class Refused(Exception):
    """Stands for the driver's OperationalError."""


class Connection:
    """Stands for the driver's connection."""

    def __init__(self, password: str) -> None:
        self.password = password


def driver(valid: str, failure: str = WRONG) -> Any:
    def connect(_dsn: str = "", password: str = "first", **_: str) -> Connection:
        if password != valid:
            raise Refused(failure)
        return Connection(password)

    return connect


@pytest.mark.parametrize("valid", ["first", "other"])
def test_the_server_logs_in_with_either_password(valid: str) -> None:
    assert sitecustomize.trying(driver(valid), Refused, "other")("host=db", dbname="mlflow").password == valid


class Pool:
    """Stands for SQLAlchemy's, whose listener sees each connection before a request gets it."""

    listeners: list[Any]


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> type[Pool]:
    """SQLAlchemy, which the tests' environment has not, as far as it is used here."""
    modules = {
        name: ModuleType(name) for name in ("sqlalchemy", "sqlalchemy.event", "sqlalchemy.exc", "sqlalchemy.pool")
    }
    Pool.listeners = []
    given = {"listen": lambda of, event, heard: of.listeners.append((event, heard))}
    vars(modules["sqlalchemy.event"]).update(given)
    vars(modules["sqlalchemy"]).update(event=modules["sqlalchemy.event"])
    vars(modules["sqlalchemy.exc"]).update(DisconnectionError=Refused)
    vars(modules["sqlalchemy.pool"]).update(Pool=Pool)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    sitecustomize.replace_old_ones.cache_clear()
    return Pool


@pytest.mark.parametrize(
    ("valid", "age", "replaced"),
    [
        ("first", 0.0, False),
        ("first", 3600.0, False),
        ("other", 0.0, False),
        ("other", sitecustomize.USED_SECONDS - 0.5, False),
        ("other", sitecustomize.USED_SECONDS, True),
    ],
)
def test_a_connection_of_the_other_password_is_used_for_seconds(
    valid: str, age: float, replaced: bool, pool: type[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rotation ends it once it is idle for longer: it must not be given to a request in that moment."""
    connect = sitecustomize.trying(driver(valid), Refused, "other")
    connection, _ = connect(), connect()
    assert len(pool.listeners) == (1 if valid == "other" else 0)
    later = time.monotonic() + age
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert sitecustomize.is_old(connection) is replaced
    for event, heard in pool.listeners:
        assert event == "checkout"
        if replaced:
            with pytest.raises(Refused):
                heard(connection, None, None)
        else:
            heard(connection, None, None)


def test_a_rotation_ends_only_what_no_request_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    assert rekey.IDLE_SECONDS >= 2 * sitecustomize.USED_SECONDS
    assert f"interval '{rekey.IDLE_SECONDS:.0f} s'" in rekey.UNUSED
    ended = Administrator(left=[3, 1, 0])
    assert rekey._end_connections(ended, ["mlflow"], "since", Progress()) == 3 + 1
    assert all(rekey.UNUSED in each for each in ended.asked if "pg_terminate_backend" in each)
    stuck = Administrator(left=[1] * 99)
    assert rekey._end_connections(stuck, ["mlflow"], "since", Progress(step=25)) == 1 + 1 + 1
    assert rekey.UNUSED not in next(each for each in reversed(stuck.asked) if "pg_terminate_backend" in each)


class Progress(report.Progress):
    """A clock that each look takes further."""

    def __init__(self, step: float = 0) -> None:
        super().__init__()
        self.now, self.step = 0.0, step

    def elapsed(self) -> float:
        self.now += self.step
        return self.now

    def say(self, task: str, figure: str = "") -> None:
        """Nobody listens, and telling takes no time."""


class Administrator:
    """A connection that ends as many others as are left, and notes what it was asked."""

    def __init__(self, left: list[int]) -> None:
        self.left = left
        self.asked: list[str] = []

    def cursor(self) -> Administrator:
        return self

    def __enter__(self) -> Administrator:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is to be closed."""

    def execute(self, statement: str, _values: Any) -> None:
        self.asked.append(statement)

    def fetchall(self) -> list[tuple[int]]:
        if "pg_terminate_backend" in self.asked[-1]:
            return [(1,)] * self.left.pop(0)
        return [(self.left[0],)]


def test_a_database_that_is_away_is_asked_once() -> None:
    with pytest.raises(Refused, match="refused"):
        sitecustomize.trying(driver("other", "connection refused"), Refused, "other")()
    with pytest.raises(Refused, match="authentication"):
        sitecustomize.trying(driver("other"), Refused, "neither")()


def test_every_process_of_the_server_knows_the_other_password() -> None:
    """Python imports `sitecustomize` by itself from a folder of its path, but from no package."""
    (volume,) = [each for each in server_pod()["volumes"] if each["name"] == "app"]
    paths = {each["key"]: each["path"] for each in volume["configMap"]["items"]}
    assert paths["sitecustomize.py"] == "sitecustomize.py"
    assert f"{rotation.OTHER}PGPASSWORD" == sitecustomize.OTHER


def server_pod() -> Object:
    pod: Object = one(render(), "Deployment", f"{RELEASE}-tracking")["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize(
    ("valid", "other", "found"),
    [
        ("first", "", "first"),
        ("first", "other", "first"),
        ("other", "other", "other"),
        ("third", "other", ""),
        ("other", "", ""),
    ],
)
def test_scripts_log_in_with_either_password(
    valid: str, other: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def attempt(settled: dict[str, str]) -> tuple[Any, str]:
        return (settled["password"], "") if settled["password"] == valid else (None, WRONG)

    monkeypatch.setattr(mlflow_schema, "attempt", attempt)
    monkeypatch.setenv(mlflow_schema.OTHER, other)
    connection, used, cause = mlflow_schema.attempt_each({"password": "first", "host": "db"})
    assert (connection or "") == found
    assert bool(cause) is not bool(found)
    if found:
        assert used == {"password": found, "host": "db"}


@pytest.mark.parametrize("values", [{}, EXTERNAL_URI], ids=["own database", "outside"])
def test_every_container_with_a_value_may_know_the_other_one(values: Object) -> None:
    seen = 0
    for _, pod in pods(render(values)):
        for container in containers(pod):
            given = {each["name"]: each.get("valueFrom", {}).get("secretKeyRef") for each in container.get("env", [])}
            for name in ("PGPASSWORD", *rotation.KEYS):
                if given.get(name):
                    expected = {**given[name], "key": f"other.{given[name]['key']}", "optional": True}
                    assert given[rotation.OTHER + name] == expected, container["name"]
                    seen += 1
    assert seen >= 6


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        ({}, {"keys": list(rotation.KEYS), "postgresql": ["password", "postgres-password"]}),
        (EXTERNAL_URI, {"keys": list(rotation.KEYS)}),
    ],
    ids=["own database", "outside"],
)
def test_backups_and_rotations_get_both_values_as_files(values: Object, seen: dict[str, list[str]]) -> None:
    """A backup that is made meanwhile must open with what is in it."""
    pod = one(render(values), "CronJob", f"{RELEASE}-drill")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (volume,) = [each for each in pod["volumes"] if each["name"] == "secrets"]
    sources = [each["secret"] for each in volume["projected"]["sources"]]
    expected = sorted(f"{part}/other.{name}" for part, names in seen.items() for name in names)
    others = [each for each in sources if each.get("optional")]
    assert sorted(item["path"] for each in others for item in each["items"]) == expected
    assert all(item["key"] == item["path"].partition("/")[2] for each in others for item in each["items"])
