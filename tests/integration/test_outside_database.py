"""A database outside the release: what works, and what is told about one that does not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.postgres import client, pem, secret, signed, tls_database
from tests.support import ROOT, command, kubectl, play
from tests.unit.chart.rendering import CHART, Object

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("database")]

DATA, NAMESPACE = "outside-data", "outside-mlflow"
HOST = f"pg.{DATA}"
PASSWORD = "[a]#b%c@d/é x'1"
ENCODED = "%5Ba%5D%23b%25c%40d%2F%C3%A9%20x%271"
CANARY = "Wq8sLm2Yt5"
SETUP = f"""
CREATE ROLE app LOGIN PASSWORD '{PASSWORD.replace("'", "''")}';
CREATE DATABASE fresh OWNER app;
CREATE DATABASE deployed OWNER app;
CREATE DATABASE own_schema OWNER app;
CREATE ROLE guest LOGIN PASSWORD '{CANARY}';
CREATE DATABASE theirs;
CREATE DATABASE used;
CREATE DATABASE orders OWNER guest;
CREATE DATABASE airflow OWNER guest;
CREATE DATABASE latin OWNER guest ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
CREATE DATABASE closed OWNER app;
REVOKE CONNECT ON DATABASE closed FROM PUBLIC;
CREATE ROLE reader LOGIN PASSWORD '{CANARY}';
ALTER ROLE reader SET default_transaction_read_only = on;
CREATE ROLE nobody PASSWORD '{CANARY}';
CREATE ROLE few LOGIN PASSWORD '{CANARY}' CONNECTION LIMIT 0;
"""
OF_DATABASES = {
    "orders": "CREATE TABLE orders (id int)",
    "airflow": "CREATE TABLE dag (id int); CREATE TABLE alembic_version (version_num text); "
    "INSERT INTO alembic_version VALUES ('a1b2')",
    "used": "CREATE TABLE experiments (); CREATE TABLE runs (); CREATE TABLE alembic_version (version_num text)",
    "own_schema": "CREATE SCHEMA tracking AUTHORIZATION app",
}


def in_data(*arguments: str, stdin: str | None = None) -> str:
    return kubectl("-n", DATA, *arguments, stdin=stdin)


def apply(namespace: str, *objects: Object) -> None:
    content = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    kubectl("-n", namespace, "apply", "-f", "-", stdin=content)


def service(name: str, port: int, target: int, **selector: str) -> Object:
    ports = [{"name": "sql", "port": port, "targetPort": target}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": selector, "ports": ports},
    }


def sql(statement: str, database: str = "mlflow") -> None:
    """By TCP, where the server that only prepares the volume does not listen."""
    server = ["-h", "127.0.0.1", "-p", "5433", "-U", "mlflow", "-d", database]
    arguments = ["psql", "-v", "ON_ERROR_STOP=1", *server, "-qAtf", "-"]
    in_data("exec", "-i", "pg", "--", *arguments, stdin=statement)


CLIENT = client("scripts")


@pytest.fixture(scope="module")
def database() -> Iterator[None]:
    """A PostgreSQL with TLS at port 5433 of its pod, behind a Service at 6432, and a pod that has MLflow's image."""
    for namespace in (DATA, NAMESPACE):
        kubectl("delete", "namespace", namespace, "--ignore-not-found")
        kubectl("create", "namespace", namespace)
    authority = signed("authority")
    certificate, key = signed(HOST, authority)
    expired, its_key = signed(HOST, authority, days=-3)
    files = {"tls.crt": certificate, "tls.key": key, "expired.crt": expired, "expired.key": its_key}
    scripts = {file.name: file.read_text(encoding="utf-8") for file in (CHART / "files").glob("*.py")}
    trusted = pem(authority[0])
    apply(
        DATA,
        secret("pg", **{name: pem(thing) for name, thing in files.items()}),
        secret("authority", **{"ca.crt": trusted}),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "scripts"}, "data": scripts},
        tls_database("pg", CANARY, "-cport=5433"),
        service("pg", 6432, 5433, app="pg"),
        service("gate", 6432, 5433, app="pg", gate="open"),
        service("nothing", 5432, 5432, app="nothing"),
        CLIENT,
    )
    bundle = {"kind": "ConfigMap", "metadata": {"name": "authorities"}, "data": {"bundle.pem": trusted}}
    apply(NAMESPACE, {"apiVersion": "v1", **bundle})
    in_data("wait", "pod/client", "pod/pg", "--for=condition=Ready", "--timeout=90s")
    started = time.monotonic()
    while True:
        try:
            sql("SELECT 1")
            break
        except AssertionError:
            assert time.monotonic() - started < 180
            time.sleep(1)
    sql(SETUP)
    for name, statement in OF_DATABASES.items():
        sql(statement, name)
        sql("ALTER TABLE IF EXISTS orders OWNER TO guest", name)
    yield
    for namespace in (DATA, NAMESPACE):
        kubectl("delete", "namespace", namespace, "--wait=false")


EVERY = """
import json, os, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor
def run(case):
    started = time.monotonic()
    environment = {**os.environ, "SERVICE_FILE": f"/mlflow/database/{case['number']}.conf", **case["environment"]}
    done = subprocess.run(case["command"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return [done.returncode, done.stdout, time.monotonic() - started]
with ThreadPoolExecutor(6) as pool:
    print(json.dumps(list(pool.map(run, json.load(sys.stdin)))))
"""
SCRIPT = ["python3", "/mlflow/scripts/migrate.py"]
ROOTS = "/mlflow/database-ca/ca.crt"


def migrate(cases: list[dict[str, str]], script: list[str] = SCRIPT) -> list[tuple[int, str, float]]:
    """Run the migration for each of these environments, as the chart's Job would."""
    common = {
        "DATABASE_URI_FROM": "Secret db, key uri",
        "DATABASE_ROOTS": "/mlflow/database/roots.crt",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": ROOTS,
        "PGREQUIREAUTH": "scram-sha-256",
        "PGCONNECT_TIMEOUT": "10",
        "TIMEOUT_SECONDS": "100",
    }
    given = [
        {"number": number, "environment": {**common, **case}, "command": script} for number, case in enumerate(cases)
    ]
    done = in_data("exec", "-i", "client", "--", "python3", "-c", EVERY, stdin=json.dumps(given))
    return [(code, said, seconds) for code, said, seconds in json.loads(done)]


def uri(
    database: str, user: str = "guest", password: str = CANARY, host: str = f"{HOST}:6432", more: str = ""
) -> Object:
    return {"MLFLOW_BACKEND_STORE_URI": f"postgresql://{user}:{password}@{host}/{database}{more}"}


REFUSED: dict[str, tuple[Object, str, str]] = {
    "not the owner": (uri("theirs"), "permission denied for schema public", "GRANT CREATE, USAGE ON SCHEMA public"),
    "another program's tables": (uri("orders"), "tables that are not MLflow's (orders)", "database of its own"),
    "another program's migrations": (uri("airflow"), "tables that are not MLflow's", "database of its own"),
    "encoding": (uri("latin"), "encoding is LATIN1", "ENCODING 'UTF8'"),
    "a wrong password": (uri("fresh", password="wrong"), "password authentication failed", "Secret"),
    "no such database": (uri("nosuch"), "does not exist", "CREATE DATABASE"),
    "no such user": (uri("fresh", "nosuch"), "password authentication failed", "Secret"),
    "not allowed to log in": (uri("fresh", "nobody"), "not permitted to log in", "LOGIN"),
    "not allowed to connect": (uri("closed"), "permission denied for database", "GRANT CONNECT"),
    "no such host": (uri("fresh", host="nosuch.invalid"), "could not translate host name", "Correct the host"),
    "read-only": (uri("fresh", "reader"), "read-only", "primary"),
    "target_session_attrs": (uri("fresh", "reader", more="?target_session_attrs=read-write"), "read-only", "primary"),
    "no rights on MLflow's tables": (uri("used"), "permission denied for table", "GRANT <owner> TO <user>"),
    "another name in the certificate": (uri("fresh", host="pg:6432"), "does not match host name", "verify-ca"),
    "an unknown authority": (
        {**uri("fresh"), "PGSSLROOTCERT": ""},
        "certificate verify failed: unable to get local issuer certificate",
        "externalDatabase.caSecret",
    ),
    "a certificate's file elsewhere": (
        {**uri("fresh", more="?sslrootcert=server-ca.pem"), "PGSSLROOTCERT": ""},
        "does not have",
        "externalDatabase.caConfigMap",
    ),
    "a parameter of another client": (uri("fresh", more="?pgbouncer=true"), "parameter pgbouncer", "percent-encoded"),
    "a schema that does not exist": (
        uri("own_schema", "app", ENCODED, more="?options=-csearch_path%3Dnosuch"),
        "search_path",
        "CREATE SCHEMA",
    ),
    "an option that PostgreSQL does not know": (
        uri("fresh", more="?options=-cnosuch%3D1"),
        "unrecognized configuration parameter",
        "question mark",
    ),
    "Cloud SQL's socket": (
        {"MLFLOW_BACKEND_STORE_URI": f"postgresql+psycopg2://guest:{CANARY}@/fresh?host=/cloudsql/p:r:i"},
        "on socket",
        "Cloud SQL Auth Proxy",
    ),
    "MySQL": ({"MLFLOW_BACKEND_STORE_URI": f"mysql://u:{CANARY}@h/d"}, "only PostgreSQL", "postgresql://"),
}


def test_whatever_is_wrong_is_told_once_within_half_a_minute() -> None:
    ended = migrate([given for given, _, _ in REFUSED.values()])
    for (name, (_, cause, cure)), (code, said, _) in zip(REFUSED.items(), ended, strict=True):
        errors = [line for line in said.splitlines() if line.startswith("ERROR: ")]
        assert (code, len(errors)) == (78, 1), (name, said)
        assert cause in errors[0], (name, said)
        assert cure in errors[0], (name, said)
        assert all(int(waited) < 30 for waited in re.findall(r"\((\d+) s of", said)), (name, said)
        assert CANARY not in said, name
        assert ENCODED not in said, name


WORKS: dict[str, Object] = {
    "as consoles print it, with a line break": {
        "MLFLOW_BACKEND_STORE_URI": f"postgres://app:{ENCODED}@{HOST}:6432/fresh?sslmode=verify-full\n"
    },
    "two hosts, the first is gone": uri(
        "fresh",
        "app",
        ENCODED,
        f"nothing.{DATA}:5432,{HOST}:6432",
        "?target_session_attrs=read-write",
    ),
    "words": {
        "MLFLOW_BACKEND_STORE_URI": f"host={HOST} port=6432 dbname=fresh user=app "
        "password='" + PASSWORD.replace("\\", "\\\\").replace("'", "\\'") + "'"
    },
    "user and password by themselves, with line breaks": {
        "MLFLOW_BACKEND_STORE_URI": f"postgresql://{HOST}:6432/fresh",
        "PGUSER": "app\n",
        "PGPASSWORD": f"{PASSWORD}\n",
    },
    "a schema of its own": uri("own_schema", "app", ENCODED, more="?options=-csearch_path%3Dtracking"),
    "a certificate's file elsewhere, and the chart's authority": uri(
        "fresh", "app", ENCODED, more="?sslrootcert=/home/me/root.crt"
    ),
}


def test_every_form_of_a_uri_works() -> None:
    migrate([WORKS["as consoles print it, with a line break"], WORKS["a schema of its own"]])  # they do the work
    for name, (code, said, _) in zip(WORKS, migrate(list(WORKS.values())), strict=True):
        assert (code, "nothing to do" in said) == (0, True), (name, said)
        assert PASSWORD not in said


def test_a_connection_that_may_come_is_waited_for_and_shown() -> None:
    nothing, few = migrate(
        [
            {**uri("fresh", host=f"nothing.{DATA}"), "TIMEOUT_SECONDS": "4"},
            {**uri("fresh", "few"), "TIMEOUT_SECONDS": "4"},
        ]
    )
    for (code, said, _), cause in ((nothing, "Connection refused"), (few, "too many connections")):
        assert code == 1, said
        assert re.search(rf"^waiting for the database: .*{cause}.*\(\d+ s of 4 s\)$", said, re.M), said


def test_an_expired_certificate_is_told_apart() -> None:
    """What libpq itself says is the same as for an unknown authority."""
    use = "cd /tmp && cat /certificates/{0}.key >tls.key && cat /certificates/{0}.crt >tls.crt"
    try:
        in_data("exec", "pg", "--", "sh", "-c", use.format("expired"))
        sql("SELECT pg_reload_conf()")
        ((code, said, _),) = migrate([uri("fresh")])
        assert code == 78, said
        assert "certificate has expired" in said
        assert "Renew the database's certificate" in said
    finally:
        in_data("exec", "pg", "--", "sh", "-c", use.format("tls"))
        sql("SELECT pg_reload_conf()")


WITHOUT_DRIVER = """
import runpy, sys
sys.modules["psycopg2"] = None
sys.path.insert(0, "/mlflow/scripts")
runpy.run_path("/mlflow/scripts/migrate.py", run_name="__main__")
"""


def test_an_image_without_the_driver_ends_at_once() -> None:
    script = ["python3", "-c", WITHOUT_DRIVER]
    ((code, said, seconds),) = migrate([{**uri("fresh"), "MLFLOW_IMAGE": "example.org/mlflow:v3.17.2"}], script)
    assert code == 78, said
    assert "The image example.org/mlflow:v3.17.2 has no PostgreSQL driver" in said
    assert seconds < 10


def asked(secret_: str, **external: Any) -> dict[str, Any]:
    return {
        "mlflow_provider": "local",
        "mlflow_project_name": "outside",
        "mlflow_namespace": NAMESPACE,
        "mlflow_kubeconfig": os.environ["KUBECONFIG"],
        "mlflow_database": {"secret": secret_},
        "mlflow_overrides": {
            "externalDatabase": {"caConfigMap": "authorities", "caKey": "bundle.pem", **external},
            "tracking": {"workers": 1},
        },
    }


def test_unusable_secret_is_refused_before_anything_is_created() -> None:
    apply(
        NAMESPACE, secret("keys", host="x", password=CANARY), secret("malformed", uri=f"postgresql://u:{CANARY}@x@y/d")
    )
    apply(NAMESPACE, secret("port", uri=f"postgresql://u:{CANARY}@gate.{DATA}:5432/d"))
    apply(NAMESPACE, secret("alias", uri=f"postgresql://u:{CANARY}@alias:5432/d"))
    leads = {"type": "ExternalName", "externalName": f"gate.{DATA}.svc.cluster.local"}
    apply(NAMESPACE, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "alias"}, "spec": leads})
    for given, said in (
        (asked("keys"), "no value under the key 'uri'; its keys are: host, password"),
        (asked("port"), "Use one of its ports: 6432"),
        (asked("alias"), "Use one of its ports: 6432"),
        (asked("malformed"), "The database's URI is malformed"),
    ):
        done = play("mlflow", **given)
        assert done.returncode != 0
        assert said in done.failure
        assert CANARY not in done.stdout
    assert "helm" not in kubectl("-n", NAMESPACE, "get", "secrets", "-o", "name")


def test_the_deploy_tells_what_the_database_refuses_and_its_cure() -> None:
    apply(NAMESPACE, secret("theirs", uri=f"postgresql://guest:{CANARY}@{HOST}:6432/theirs"))
    done = play("mlflow", **asked("theirs"))
    assert done.returncode != 0
    assert "permission denied for schema public" in done.failure
    assert "GRANT CREATE, USAGE ON SCHEMA public TO <user>" in done.failure
    assert done.failure.count("permission denied") == 1
    assert "NML414" in done.stdout
    assert CANARY not in done.stdout


def test_deploy_waits_for_a_late_database_and_opens_its_ports() -> None:
    """The Service's port is 6432, its pod listens on 5433; the Secret is like that of an operator."""
    apply(NAMESPACE, secret("demo-app", uri=f"postgresql://app:{ENCODED}@gate.{DATA}:6432/deployed\n", port="6432"))
    given = asked("demo-app", sslMode="verify-ca")
    with subprocess.Popen(
        command("mlflow", **given), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "waiting for the database" in line and "Connection refused" in line:
                in_data("label", "pod", "pg", "gate=open")
    assert process.returncode == 0, said
    assert "gate=open" in in_data("get", "pod", "pg", "--show-labels")
    assert ENCODED not in said
    policy = kubectl("-n", NAMESPACE, "get", "networkpolicy", "outside-mlflow-migrate", "-o", "json")
    (rule,) = [rule for rule in json.loads(policy)["spec"]["egress"] if rule["ports"][0]["port"] == 5433]
    assert rule["to"] == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": DATA}},
            "podSelector": {"matchLabels": {"app": "pg", "gate": "open"}},
        }
    ]
    again = play("mlflow", **given)
    assert (again.returncode, again.changed) == (0, 0), again.stdout
