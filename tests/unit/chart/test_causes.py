"""What the database says: waited for, or told with its cure."""

from __future__ import annotations

import mlflow_causes
import mlflow_schema
import pytest
from mlflow_causes import ALWAYS, LONG_ENOUGH, NEVER

AT = 'connection to server at "db" (10.0.0.1), port 5432 failed: '
HINT = "\n\tIs the server running on that host and accepting TCP/IP connections?"


@pytest.mark.parametrize(
    ("cause", "cure"),
    [
        ('FATAL:  password authentication failed for user "mlflow"', "the Secret"),
        ("FATAL:  SASL authentication failed", "the Secret"),
        ('FATAL:  database "mlflow" does not exist', "CREATE DATABASE"),
        ('FATAL:  role "mlflow" does not exist', "CREATE ROLE"),
        ("FATAL:  no such database: mlflow", "CREATE DATABASE"),
        ('FATAL:  role "mlflow" is not permitted to log in', "LOGIN"),
        ('FATAL:  permission denied for database "d"\nDETAIL:  User does not have CONNECT privilege.', "GRANT CONNECT"),
        (
            'FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "u", database "d", no encryption',
            "externalDatabase.sslMode",
        ),
        ("FATAL:  SSL required", "externalDatabase.sslMode"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "u", database "d", SSL encryption', "pg_hba.conf"),
        ("server does not support SSL, but SSL was required", "Switch TLS on"),
        ("SSL error: certificate verify failed", "externalDatabase.caSecret"),
        ("SSL error: certificate verify failed: certificate has expired", "Renew the database's certificate"),
        ('server certificate for "a" does not match host name "b"', "verify-ca"),
        ('root certificate file "/mlflow/database-ca/ca.crt" does not exist', "externalDatabase.caSecret"),
        ("FATAL:  connection requires a valid client certificate", "by password"),
        ('certificate file "client.pem" does not exist', "Remove sslcert"),
        (
            'authentication method requirement "scram-sha-256" failed: server requested a cleartext password',
            "externalDatabase.requireAuth",
        ),
        ("FATAL:  unsupported startup parameter: options", "ignore_startup_parameters"),
        ("ERROR:  transaction blocks not allowed in statement pooling mode", "pool_mode"),
        ('unrecognized configuration parameter "search"', "question mark"),
        ("received invalid response to SSL negotiation: H", "is not PostgreSQL"),
        (
            'connection to server on socket "/cloudsql/x/.s.PGSQL.5432" failed: No such file or directory',
            "Cloud SQL Auth Proxy",
        ),
    ],
)
def test_what_waiting_does_not_cure_is_told_at_once(cause: str, cure: str) -> None:
    found = mlflow_causes.judge(f"{AT}{cause}")
    assert found.patience == NEVER
    assert cure in found.cure
    assert mlflow_causes.judge(f"{AT}Connection refused{HINT}\n{AT}{cause}").patience == NEVER


@pytest.mark.parametrize(
    "cause",
    [
        'could not translate host name "db" to address: Name or service not known',
        f"{AT}session is read-only",
        "the session is read-only",
        f"{AT}No route to host",
        f"{AT}FATAL:  server login failed: FATAL password authentication",
        "something that nobody has seen",
        "",
    ],
)
def test_what_may_settle_is_told_within_half_a_minute(cause: str) -> None:
    assert mlflow_causes.judge(cause).patience in (LONG_ENOUGH, NEVER)
    assert mlflow_causes.judge(cause).cure


@pytest.mark.parametrize(
    "cause",
    [
        f"{AT}Connection refused{HINT}",
        f"{AT}timeout expired",
        f"{AT}FATAL:  the database system is starting up",
        f"{AT}FATAL:  sorry, too many clients already",
        f"{AT}FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        f"{AT}server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally",
        'could not translate host name "db" to address: Temporary failure in name resolution',
        f"{AT}session is read-only\n{AT}Connection refused{HINT}",
    ],
)
def test_a_connection_that_may_come_is_waited_for(cause: str) -> None:
    assert mlflow_causes.judge(cause).patience == ALWAYS


@pytest.mark.parametrize(
    ("state", "patience"),
    [("42501", NEVER), ("42P01", NEVER), ("53100", NEVER), ("57P01", ALWAYS), ("40P01", ALWAYS), (None, ALWAYS)],
)
def test_a_failed_statement_is_tried_again_if_that_may_help(state: str | None, patience: float) -> None:
    assert mlflow_causes.judge_statement(state).patience == patience


class Refused(Exception):
    """As psycopg2 says it."""

    pgcode = "42501"


class Wrapped(Exception):
    """As SQLAlchemy says it."""

    def __init__(self, orig: Exception) -> None:
        super().__init__("(psycopg2) [SQL: CREATE TABLE]")
        self.orig = orig


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Wrapped(Refused("permission denied for schema public\nLINE 1")), 78, "GRANT <owner> TO"),
        (RuntimeError("Detected out-of-date schema"), 78, "MLflow's migration failed: RuntimeError: Detected"),
    ],
)
def test_a_failure_inside_mlflow_is_told_once(
    error: Exception, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(_database: object, _clock: object) -> None:
        raise error

    monkeypatch.setattr(mlflow_schema, "connect", lambda _clock: None)
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "postgresql://u:p@h/d")
    assert mlflow_schema.run(work) == code
    told = capsys.readouterr().out
    assert said in told
    assert len(told.splitlines()) == 1


def test_a_cure_names_the_user_unless_it_is_secret() -> None:
    given = {"user": 'a"b', "dbname": "d"}
    assert mlflow_schema.fill("ALTER DATABASE <dbname> OWNER TO <user>;", given, {"dbname": "d"}) == (
        'ALTER DATABASE <dbname> OWNER TO "a""b";'
    )


def test_an_image_without_the_driver_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mlflow_schema, "installed_migrations", lambda: None)
    monkeypatch.setitem(__import__("sys").modules, "psycopg2", None)
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "postgresql://u:p@h/d")
    monkeypatch.setenv("MLFLOW_IMAGE", "ghcr.io/mlflow/mlflow:v3.17.2")
    assert mlflow_schema.run(lambda _database, _clock: None) == 78
    assert "ghcr.io/mlflow/mlflow:v3.17.2 has no PostgreSQL driver" in capsys.readouterr().out
