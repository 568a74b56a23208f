"""A database's URI: read in one way or refused, and no part of its password in any message."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import mlflow_schema
import mlflow_tls
import mlflow_uri
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow_schema import DEFINITE, Migrations, SchemaError

from tests.unit.chart.malformed import CANARY, MALFORMED, leaked

WHERE = "Secret db, key uri"


@pytest.fixture
def image(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Stand in for the image: migrations, and a place for the authorities."""
    monkeypatch.setattr(mlflow_schema, "installed_migrations", lambda: Migrations(frozenset({"a1"}), "a1"))
    monkeypatch.setenv("DATABASE_URI_FROM", WHERE)
    monkeypatch.setenv("TIMEOUT_SECONDS", "0")
    monkeypatch.setenv("PGSSLROOTCERT", "")
    monkeypatch.delenv("DATABASE_ROOTS", raising=False)
    return monkeypatch


class Driver:
    """A psycopg2 that says what libpq would; `seen` is what it was given."""

    class Error(Exception):
        """Of the driver."""

    def __init__(self, answer: Callable[[str], str]) -> None:
        self.answer = answer
        self.seen: list[str] = []

    def connect(self, target: str) -> None:
        self.seen.append(target)
        raise self.Error(self.answer(target))


def refuse_all(image: pytest.MonkeyPatch, answer: Callable[[str], str]) -> Driver:
    driver = Driver(answer)
    image.setattr("mlflow_schema.importlib.import_module", lambda _name: driver)
    return driver


@pytest.mark.parametrize("uri", MALFORMED, ids=[str(number) for number in range(len(MALFORMED))])
def test_a_malformed_uri_is_refused_without_any_of_it(
    uri: str, image: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    driver = refuse_all(image, lambda target: f'could not translate host name "{target}"')
    image.setenv("MLFLOW_BACKEND_STORE_URI", uri)
    assert mlflow_schema.run(lambda _database, _clock: None) == DEFINITE
    told = "".join(capsys.readouterr())
    assert not leaked(told), told
    assert "percent-encoded" in told
    assert WHERE in told
    assert len(told.splitlines()) == 1
    assert driver.seen == []


@pytest.mark.parametrize(
    "said",
    [
        'could not translate host name "{host}" to address: Name or service not known',
        'connection to server at "{host}" (10.0.0.1), port 5432 failed: FATAL:  database "{dbname}" does not exist',
        'connection to server at "{host}", port 5432 failed: FATAL:  password authentication failed for user "{user}"',
        'invalid port number: "{password}@h"',
        'missing "=" after "{password}" in connection info string',
        "connection to {host} failed as {user}",
    ],
)
def test_what_the_driver_says_holds_no_part_of_a_uri(
    said: str, image: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = {"user": f"u{CANARY}", "password": f"p{CANARY}", "host": f"h{CANARY}", "dbname": f"d{CANARY}"}
    refuse_all(image, lambda _target: said.format(**parts))
    image.setenv("MLFLOW_BACKEND_STORE_URI", mlflow_uri.join(parts, "postgresql"))
    assert mlflow_schema.run(lambda _database, _clock: None) in (1, DEFINITE)
    told = "".join(capsys.readouterr())
    assert not leaked(told), told
    assert "<" in told


def test_a_host_that_is_no_secret_is_named(image: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    image.delenv("DATABASE_URI_FROM")
    refuse_all(image, lambda _target: 'could not translate host name "db.example.org" to address')
    image.setenv("MLFLOW_BACKEND_STORE_URI", "postgresql+psycopg2://mlflow@db.example.org:5432/mlflow")
    assert mlflow_schema.run(lambda _database, _clock: None) == DEFINITE
    assert '"db.example.org"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("postgresql+psycopg2://u:p@h:5432/d", {"user": "u", "password": "p", "host": "h", "port": "5432"}),
        ("postgres://u%40server:p%2F%25@h/d", {"user": "u@server", "password": "p/%", "host": "h"}),
        ("postgresql://u:pa:ss#w{o}r d@h/d", {"user": "u", "password": "pa:ss#w{o}r d", "host": "h"}),
        ("postgresql://u:p%C3%A9@[::1]:6432/d", {"user": "u", "password": "pé", "host": "::1", "port": "6432"}),
        ("postgresql://u@a,b.example.org/d", {"user": "u", "host": "a,b.example.org"}),
        ("postgresql://u@a:1,[::1]:2/d", {"user": "u", "host": "a,::1", "port": "1,2"}),
        ("postgresql://u@a:5432,b/d", {"user": "u", "host": "a,b", "port": "5432,"}),
        ("postgresql://u:p@h/d \r\n", {"user": "u", "password": "p", "host": "h"}),
        ("postgresql://u:%5B%5D%23%25%40%2F@h/d", {"user": "u", "password": "[]#%@/", "host": "h"}),
        ("postgresql+asyncpg://u:p@h/d", {"user": "u", "password": "p", "host": "h"}),
        ("postgresql://u:p@/d?host=/run/sql", {"user": "u", "password": "p", "host": "/run/sql"}),
        ("postgresql://h/d?sslmode=require", {"host": "h", "sslmode": "require"}),
    ],
)
def test_unambiguous_uri_is_accepted(uri: str, expected: dict[str, str]) -> None:
    found = mlflow_uri.split(uri)
    assert found == {**expected, "dbname": "d"}
    assert mlflow_uri.split(mlflow_uri.join(found, "postgresql+psycopg2")) == found


P = {"user": "u", "password": "p"}


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (
            "postgresql://b4:p@x.postgres.database.azure.com:5432/postgres?sslmode=require",
            {**P, "user": "b4", "host": "x.postgres.database.azure.com", "port": "5432", "sslmode": "require"},
        ),
        (
            'psql "host=x.postgres.database.azure.com port=5432 dbname=postgres user=b4 password=p sslmode=require"',
            {**P, "user": "b4", "host": "x.postgres.database.azure.com", "port": "5432", "sslmode": "require"},
        ),
        (
            "jdbc:postgresql://x.postgres.database.azure.com:5432/postgres?user=u&password=p&sslmode=require",
            {**P, "host": "x.postgres.database.azure.com", "port": "5432", "sslmode": "require"},
        ),
        (
            "host=x.c9.eu-west-1.rds.amazonaws.com port=5432 dbname=postgres user=u password='p' sslmode=verify-full",
            {**P, "host": "x.c9.eu-west-1.rds.amazonaws.com", "port": "5432", "sslmode": "verify-full"},
        ),
        (
            "psql 'sslmode=verify-ca sslrootcert=server-ca.pem hostaddr=10.1.2.3 port=5432 user=u dbname=postgres'",
            {
                "user": "u",
                "hostaddr": "10.1.2.3",
                "port": "5432",
                "sslmode": "verify-ca",
                "sslrootcert": "server-ca.pem",
            },
        ),
        (
            "postgresql+psycopg2://u:p@/postgres?host=/cloudsql/project:region:instance",
            {**P, "host": "/cloudsql/project:region:instance"},
        ),
        (
            "postgresql://u:p@x-do-user-1-0.b.db.ondigitalocean.com:25060/postgres?sslmode=require",
            {**P, "host": "x-do-user-1-0.b.db.ondigitalocean.com", "port": "25060", "sslmode": "require"},
        ),
        ("postgresql://u:p@demo-rw.data:5432/postgres", {**P, "host": "demo-rw.data", "port": "5432"}),
        (
            "jdbc:postgresql://demo-primary.data.svc:5432/postgres?password=p&user=u",
            {**P, "host": "demo-primary.data.svc", "port": "5432"},
        ),
        ("postgres://u:p@h:5432/postgres?ssl=true", {**P, "host": "h", "port": "5432", "sslmode": "require"}),
    ],
    ids=[
        "azure",
        "azure psql",
        "azure jdbc",
        "rds",
        "cloud sql",
        "cloud sql socket",
        "digitalocean",
        "cnpg",
        "crunchy",
        "ssl",
    ],
)
def test_what_consoles_and_operators_print_is_accepted(uri: str, expected: dict[str, str]) -> None:
    assert mlflow_uri.split(uri) == {**expected, "dbname": "postgres"}


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("postgresql://u:p@h/d?schema=x", "options=-csearch_path"),
        ("postgresql://u:p@h/d?pgbouncer=true", "parameter pgbouncer"),
        ("postgresql+pg8000://u:p@/d?unix_sock=/cloudsql/x", "Cloud SQL Auth Proxy"),
        ("postgresql://u:p@h/d?sslmode=require&secret=1", "parameter number 2"),
        ("postgresql://b4:{your_password}@h/d", "placeholder"),
        ("postgresql://u:p@h1:1,h2:99999/d", "not a number from 1 to 65535"),
        ("postgresql://u:p@h1,h2/d?port=1,2,3", "number of ports"),
        ("mysql://u:p@h/d", "only PostgreSQL is supported"),
    ],
)
def test_a_refusal_says_what_to_change(uri: str, said: str) -> None:
    with pytest.raises(mlflow_uri.UriError, match=said):
        mlflow_uri.split(uri)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("postgresql://u:p@h/d", [("h", 5432)]),
        ("postgresql://u:p@h:6432/d", [("h", 6432)]),
        ("postgresql://u:p@a:1,b:2/d", [("a", 1), ("b", 2)]),
        ("postgresql://u:p@a,b/d?port=6432", [("a", 6432), ("b", 6432)]),
        ("host=h hostaddr=10.0.0.1 port=5433 dbname=d", [("h", 5433)]),
        ("hostaddr=10.0.0.1 dbname=d", [("10.0.0.1", 5432)]),
        ("postgresql://u:p@/d?host=/run/sql", []),
    ],
)
def test_hosts_and_ports_of_a_uri(uri: str, expected: list[tuple[str, int]]) -> None:
    assert mlflow_uri.addresses(mlflow_uri.split(uri)) == expected


TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r\n"), min_size=1).filter(
    lambda text: text[0] not in "{<"  # as a placeholder begins, which is refused
)


@given(user=TEXT, password=TEXT, database=TEXT)
def test_every_login_survives_encoding(user: str, password: str, database: str) -> None:
    parts = {"user": user, "password": password, "host": "h", "port": "5432", "dbname": database}
    assert mlflow_uri.split(mlflow_uri.join(parts, "postgresql+psycopg2")) == parts


@given(st.text(string.ascii_letters + ":/?#[]@%=&+ .\n", max_size=20), st.sampled_from(["", "postgresql://", "x://"]))
def test_no_refusal_repeats_the_uri(text: str, scheme: str) -> None:
    told = ("", *_refusals(f"{scheme}{CANARY}{text}"), *_refusals(f"{scheme}u:{CANARY}{text}@h/d"))
    assert not leaked("".join(told))


def _refusals(uri: str) -> Iterator[str]:
    try:
        mlflow_schema.parameters(uri)
    except SchemaError as error:
        yield str(error)


def test_the_server_gets_the_connection_and_not_the_uri(tmp_path: Path) -> None:
    file = tmp_path / "service.conf"
    uri = "postgresql://u:a%5Cb%3Ac%20@h:6432/d?application_name=x&sslmode=verify-full"
    for _ in range(2):  # the container may be started again
        mlflow_schema.hand_over(mlflow_uri.split(uri), file)
    lines = file.read_text(encoding="utf-8").splitlines()
    password = tmp_path / "password"
    expected = ["user=u", "host=h", "port=6432", "dbname=d", "sslmode=verify-full", f"passfile={password}"]
    assert lines == ["[mlflow]", *expected]
    assert password.read_text(encoding="utf-8") == "*:*:*:*:a\\\\b\\:c \n"
    assert {path.stat().st_mode & 0o777 for path in (file, password)} == {0o600}


@pytest.mark.parametrize(
    ("environment", "parameters", "mode", "authorities"),
    [
        ({"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "OWN"}, {}, "verify-full", "OWN"),
        ({"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/ca.crt"}, {}, "verify-full", "/ca.crt"),
        ({"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "OWN"}, {"sslmode": "require"}, "require", ""),
        ({"PGSSLMODE": "require"}, {"sslmode": "verify-full"}, "verify-full", "OWN"),
        ({"PGSSLMODE": "require"}, {"sslrootcert": "system"}, "verify-full", "OWN"),
        ({"PGSSLMODE": "require", "PGSSLROOTCERT": "/ca.crt"}, {}, "require", "/ca.crt"),
    ],
)
def test_a_certificate_is_checked_by_the_uri_or_the_chart(
    environment: dict[str, str],
    parameters: dict[str, str],
    mode: str,
    authorities: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = tmp_path / "roots.crt"
    monkeypatch.setenv("PGSSLROOTCERT", "")
    for name, value in {**environment, "DATABASE_ROOTS": str(own)}.items():
        monkeypatch.setenv(name, value.replace("OWN", str(own)))
    found = mlflow_tls.settle(parameters)
    assert found == mlflow_tls.settle(parameters)
    assert found["sslmode"] == mode
    assert found.get("sslrootcert", "") == authorities.replace("OWN", str(own))
    assert own.exists() is (authorities == "OWN")
    told = capsys.readouterr().out
    assert ("the database's certificate is not checked" in told) is (not authorities)


def test_an_image_without_authorities_is_told_apart(
    image: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image.setattr(mlflow_tls, "ROOTS", ())
    image.setattr("mlflow_tls.ssl.get_default_verify_paths", lambda: SimpleNamespace(cafile=None))
    image.setattr("mlflow_tls.importlib.util.find_spec", lambda _name: None)
    refuse_all(image, lambda _target: "never asked")
    image.setenv("DATABASE_ROOTS", str(tmp_path / "roots.crt"))
    image.setenv("PGSSLMODE", "verify-full")
    image.setenv("MLFLOW_BACKEND_STORE_URI", "postgresql://u:p@h/d")
    assert mlflow_schema.run(lambda _database, _clock: None) == DEFINITE
    assert "externalDatabase.caSecret" in capsys.readouterr().out
