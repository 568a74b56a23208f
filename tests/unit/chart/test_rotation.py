"""Both values of a password are tried while a rotation runs, and every program that knows one value may know two."""

from __future__ import annotations

from typing import Any

import mlflow_schema
import pytest
from nebari_mlflow_server import rotation, sitecustomize

from tests.unit.chart.configurations import EXTERNAL_URI
from tests.unit.chart.rendering import RELEASE, Object, containers, one, pods, render

WRONG = 'FATAL:  password authentication failed for user "mlflow"'


class Refused(Exception):
    """Stands for the driver's OperationalError."""


def driver(valid: str, failure: str = WRONG) -> Any:
    def connect(_dsn: str = "", password: str = "first", **_: str) -> str:
        if password != valid:
            raise Refused(failure)
        return password

    return connect


@pytest.mark.parametrize("valid", ["first", "other"])
def test_the_server_logs_in_with_either_password(valid: str) -> None:
    assert sitecustomize.trying(driver(valid), Refused, "other")("host=db", dbname="mlflow") == valid


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
