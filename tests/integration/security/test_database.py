"""The database: who gets in, who gets its password, and which rows survive another key."""

from __future__ import annotations

import json
import re
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from tests.integration.postgres import client, pem, secret, signed, tls_database
from tests.support import kubectl
from tests.unit.chart.malformed import CANARY, MALFORMED, leaked
from tests.unit.chart.rendering import CHART, Object, containers, env, helm, pods, render

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("installed")]

NAMESPACE = "database-attacks"
RELEASE = "demo-mlflow"
DATABASE = f"{RELEASE}-postgresql"
POD = f"{DATABASE}-0"
SCRIPTS = {file.name: file.read_text(encoding="utf-8") for file in (Path(__file__).parent / "pod").glob("*.py")}
PASSWORDS = {"postgres-password": "super'1\\$do$", "password": "m'2: \\é"}
KEYS = {
    "MLFLOW_CRYPTO_KEK_PASSPHRASE": "the first",
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "f",
}


def own(*arguments: str, stdin: str | None = None) -> str:
    return kubectl("-n", NAMESPACE, *arguments, stdin=stdin)


def apply(*objects: Object) -> None:
    own("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def install(release: str, values: Object, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [helm(), "upgrade", "--install", release, str(CHART), "-n", NAMESPACE, "-f", "-", *arguments]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)


def until(what: str, check: Any, limit: float = 120) -> None:
    started = time.monotonic()
    while not check():
        assert time.monotonic() - started < limit, f"{what}: not within {limit} s"
        time.sleep(1)


CLIENT = client(f"{RELEASE}-migrate", tests="tests")
TLS_DATABASE = tls_database("outside", PASSWORDS["password"])


@pytest.fixture(scope="module")
def installed() -> Iterator[None]:
    """A release whose server is scaled to 0, a PostgreSQL with TLS beside it, and a pod to attack from."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    kubectl("create", "namespace", NAMESPACE)
    authority = signed("authority")
    certificate, key = signed("outside", authority)
    service: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "outside"},
        "spec": {"selector": {"app": "outside"}, "ports": [{"port": 5432}]},
    }
    tests: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tests"}, "data": SCRIPTS}
    apply(
        secret(DATABASE, **PASSWORDS),
        secret(f"{RELEASE}-keys", **KEYS),
        secret("authority", **{"ca.crt": pem(authority[0])}),
        secret("outside", **{"tls.crt": pem(certificate), "tls.key": pem(key)}),
        tests,
        service,
        TLS_DATABASE,
    )
    values = {"tracking": {"replicaCount": 0}, "storage": {"uri": "s3://bucket"}}
    done = install(RELEASE, values, "--wait", "--wait-for-jobs", "--timeout", "4m")
    assert done.returncode == 0, done.stderr
    apply(CLIENT)
    own("wait", "pod/client", "pod/outside", "--for=condition=Ready", "--timeout=60s")
    yield
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def inside(
    *command: str, check: bool = True, environment: dict[str, str] | None = None, **more: str
) -> tuple[int, str]:
    """Run a program in the client pod, with an environment that never is an argument of kubectl's."""
    script = (
        "import json, os, sys; given = json.load(sys.stdin); os.environ |= given; os.execvp(sys.argv[1], sys.argv[1:])"
    )
    done = subprocess.run(
        ["kubectl", "-n", NAMESPACE, "exec", "-i", "client", "--", "python3", "-c", script, *command],
        input=json.dumps({"TIMEOUT_SECONDS": "30", **KEYS, **(environment or {}), **more}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout
    return done.returncode, done.stdout


def chart_environment(values: Object, secrets: dict[str, str]) -> dict[str, str]:
    """Return what the chart gives the container before the server, Secrets put in."""
    found = {container["name"]: env(container) for _, each in pods(render(values)) for container in containers(each)}

    def optional(value: Any) -> bool:
        return not isinstance(value, str) and value["secretKeyRef"].get("optional", False)

    return {
        name: value if isinstance(value, str) else secrets[value["secretKeyRef"]["key"]]
        for name, value in found["wait-for-schema"].items()
        if not optional(value) or value["secretKeyRef"]["key"] in secrets
    }


def psql(password: str | None, user: str = "postgres", host: str = "") -> str:
    """Ask in the database's pod: on the socket, or through the loopback, where a forwarded port ends."""
    command = ["psql", "-U", user, "-d", "mlflow", "-wqAtc", "SELECT current_user", *(["-h", host] if host else [])]
    given = "" if password is None else f"PGPASSWORD={password}"
    try:
        return own("exec", POD, "-c", "postgresql", "--", "env", *filter(None, [given]), *command).strip()
    except AssertionError as error:
        return str(error)


def sql(statement: str) -> str:
    command = ["psql", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "mlflow", "-qAtc", statement]
    return own("exec", POD, "-c", "postgresql", "--", *command).strip()


@contextmanager
def forwarded() -> Iterator[int]:
    """Forward a port to the database, as whoever may do only that."""
    command = ["kubectl", "-n", NAMESPACE, "port-forward", f"pod/{POD}", ":5432"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(re.findall(r":(\d+) ->", process.stdout.readline())[0])
    finally:
        process.terminate()
        process.wait()


def asked_for(port: int, user: str) -> int:
    """Return what PostgreSQL asks a new client for: 0 nothing, 10 SCRAM."""
    body = struct.pack("!I", 196608) + f"user\0{user}\0database\0postgres\0\0".encode()
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(struct.pack("!I", len(body) + 4) + body)
        kind, _, code = struct.unpack("!cII", client.recv(9, socket.MSG_WAITALL))
        assert kind == b"R"
        return int(code)


def test_a_forwarded_port_asks_for_the_password() -> None:
    with forwarded() as port:
        assert asked_for(port, "postgres") == asked_for(port, "mlflow") == 10
    for host in ("127.0.0.1", "::1"):
        assert "no password supplied" in psql(None, host=host)
        assert "password authentication failed" in psql("wrong-on-purpose", host=host)
        assert psql(PASSWORDS["postgres-password"], host=host) == "postgres"
        assert psql(PASSWORDS["password"], "mlflow", host) == "mlflow"


def test_the_socket_is_open_to_its_own_user_only() -> None:
    assert psql(None) == "postgres"
    assert "Peer authentication failed" in psql(None, "mlflow")


def restart() -> None:
    own("delete", "pod", POD, "--grace-period=0", "--force")
    until("the pod is another one", lambda: POD in own("get", "pods", "-o", "name"))
    own("wait", f"pod/{POD}", "--for=condition=Ready", "--timeout=120s")


OLD_RULES = (
    "local all all trust\nhost all all 127.0.0.1/32 trust\nhost all all ::1/128 trust\nhost all all all scram-sha-256\n"
)


def test_old_data_is_closed_and_takes_the_secrets_passwords() -> None:
    """A data directory of an earlier version that logs every statement, a Secret that was made again, a kill."""
    sql("CREATE TABLE kept AS SELECT 42 AS answer")
    sql("ALTER SYSTEM SET log_statement = 'all'")
    write = "cat >$PGDATA/pg_hba.conf && psql -U postgres -qc 'SELECT pg_reload_conf()'"
    own("exec", "-i", POD, "-c", "postgresql", "--", "sh", "-c", write, stdin=OLD_RULES)
    until("it is as open as it was", lambda: psql("wrong-on-purpose", host="127.0.0.1") == "postgres", 20)
    new = {"postgres-password": f"{CANARY}'$", "password": f"\\{CANARY}\" '"}
    apply(secret(DATABASE, **new))
    try:
        restart()
        with forwarded() as port:
            assert asked_for(port, "postgres") == 10
        assert sql("SELECT answer FROM kept") == "42"
        for user, key in (("postgres", "postgres-password"), ("mlflow", "password")):
            assert psql(new[key], user, "127.0.0.1") == user
            assert "password authentication failed" in psql(PASSWORDS[key], user, "127.0.0.1")
        assert not leaked(own("logs", POD))
    finally:
        apply(secret(DATABASE, **PASSWORDS))
        sql("ALTER SYSTEM RESET log_statement")
        restart()
    assert psql(PASSWORDS["password"], "mlflow", "127.0.0.1") == "mlflow"


EVERY = """
import json, os, subprocess, sys
scripts, uris = json.loads(sys.argv[1])
for uri in uris:
    for script in scripts:
        environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": uri}
        command = ["python3", f"/mlflow/scripts/{script}"]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(json.dumps([uri, done.returncode, done.stdout]))
"""


def test_no_malformed_uri_is_ever_repeated() -> None:
    """With the image's own psycopg2 and libpq."""
    usable = [uri for uri in MALFORMED if "\0" not in uri]
    given = json.dumps([["migrate.py", "wait_for_schema.py"], usable])
    _, told = inside("python3", "-c", EVERY, given, DATABASE_URI_FROM="Secret db, key uri")
    ended = [json.loads(line) for line in told.splitlines()]
    assert len(ended) == 2 * len(usable)
    for uri, code, said in ended:
        assert (code, leaked(said)) == (78, []), (uri, said)
        assert "percent-encoded" in said


@pytest.mark.parametrize("host", [f"{CANARY}.invalid", "outside"], ids=["no such host", "a wrong password"])
def test_what_postgresqls_client_says_holds_no_part_of_a_uri(host: str) -> None:
    uri = f"postgresql://{CANARY}:{CANARY[::-1]}@{host}:5432/{CANARY}"
    code, told = inside(
        "python3",
        "/mlflow/scripts/migrate.py",
        check=False,
        MLFLOW_BACKEND_STORE_URI=uri,
        TIMEOUT_SECONDS="0",
    )
    assert code in (1, 78)
    assert not leaked(told), told
    assert not leaked(told[::-1]), told


def external(**more: Any) -> Object:
    return {
        "postgresql": {"enabled": False},
        "externalDatabase": {"existingSecret": "db", "existingSecretUriKey": "uri", **more},
        "secrets": {"keys": f"{RELEASE}-keys"},
        "serviceAccount": {"name": "outside"},
        "commonLabels": {"mlflow.nebari.dev/database-client": "true"},
        "tracking": {"workers": 1},
    }


def everything_said(release: str) -> str:
    """Return what the cluster shows of a release's pods: descriptions, termination messages, events, logs."""
    selector = ("-l", f"app.kubernetes.io/instance={release}")
    said = [own("describe", "pods,jobs,deployments", *selector), own("get", "pods", *selector, "-o", "yaml")]
    said += [
        own("get", "events", "-o", "yaml"),
        own("logs", *selector, "--all-containers", "--tail=-1", "--ignore-errors"),
    ]
    return "\n".join(said)


def test_malformed_uri_is_reported_without_showing_it() -> None:
    apply(secret("db", uri=f"postgresql+psycopg2://b4@server:{CANARY}@outside/mlflow"))
    failed = "jsonpath={.items[0].status.conditions[?(@.type=='Failed')].reason}"
    try:
        install("bad", external(), "--timeout", "1m")
        job = ("get", "job", "-l", "app.kubernetes.io/instance=bad", "-o", failed)
        until("the Job has failed for good", lambda: own(*job) == "PodFailurePolicy")
        until("the server's pod has said it too", lambda: everything_said("bad").count("URI is malformed") >= 2)
        told = everything_said("bad")
        assert not leaked(told), [line for line in told.splitlines() if leaked(line)]
        assert "percent-encoded" in told
        assert "Secret db, key uri" in told
    finally:
        subprocess.run([helm(), "uninstall", "bad", "-n", NAMESPACE, "--wait"], check=True, capture_output=True)


FORGED = {"host": "localhost", "existingSecret": "db", "port": 5432}


def forged(**more: Any) -> Object:
    """Run the chart's container with its own environment against a server that is not the database."""
    values = {"postgresql": {"enabled": False}, "externalDatabase": {**FORGED, **more}}
    environment = chart_environment(values, {**KEYS, "password": CANARY})
    environment["MLFLOW_BACKEND_STORE_URI"] = environment["MLFLOW_BACKEND_STORE_URI"].replace("5432", "PORT")
    script = "/mlflow/scripts/wait_for_schema.py"
    environment["TIMEOUT_SECONDS"] = "0"
    _, told = inside("python3", "/tests/forged.py", "/mlflow/database", "python3", script, environment=environment)
    found: Object = json.loads(told)
    return found


@pytest.mark.parametrize("more", [{}, {"caSecret": "authority"}], ids=["system's authorities", "own authority"])
def test_a_forged_certificate_gets_nothing(more: Object) -> None:
    found = forged(**more)
    assert (found["heard"], found["code"]) == ("", 78)
    assert "certificate verify failed" in found["told"]
    assert "externalDatabase.caSecret" in found["told"]


def test_server_asking_for_clear_text_gets_no_password() -> None:
    found = forged(sslMode="require")
    assert (found["heard"], found["code"]) == ("", 78)
    assert "externalDatabase.requireAuth" in found["told"]


def test_only_both_weaker_values_together_give_the_password_away() -> None:
    """The attack itself: without the two defaults it works."""
    assert CANARY in forged(sslMode="require", requireAuth="")["heard"]


@pytest.mark.parametrize(
    ("more", "warned"),
    [
        ({}, []),
        ({"sslMode": "verify-ca", "caSecret": "authority"}, []),
        ({"sslMode": "require"}, ["externalDatabase.sslMode is require"]),
        ({"sslMode": "verify-ca"}, ["externalDatabase.sslMode is verify-ca"]),
        ({"sslMode": "prefer", "caSecret": "authority"}, ["externalDatabase.sslMode is prefer"]),
        ({"requireAuth": ""}, ["externalDatabase.requireAuth is empty"]),
    ],
    ids=str,
)
def test_the_notes_warn_of_what_is_weaker(more: Object, warned: list[str]) -> None:
    done = install("notes", external(**more), "--dry-run=client")
    assert re.findall(r"WARNING: (externalDatabase\.\w+ is [\w-]+)", done.stdout) == warned, done.stderr


def outside(mode: str = "", **environment: str) -> tuple[int, str]:
    """Migrate the database outside, as the chart's Job would."""
    given = {"host": "outside", "existingSecret": "db", **({"sslMode": mode} if mode else {"caSecret": "authority"})}
    values = {"postgresql": {"enabled": False}, "externalDatabase": given}
    found = {**chart_environment(values, {**KEYS, **PASSWORDS}), "TIMEOUT_SECONDS": "200", **environment}
    return inside("python3", "/mlflow/scripts/migrate.py", check=False, environment=found)


def test_a_database_with_an_authority_of_its_own_works() -> None:
    code, told = outside()
    assert (code, "schema" in told) == (0, True), told
    assert "WARNING" not in told


def test_the_systems_authorities_are_used_by_default() -> None:
    code, told = outside("verify-full")
    assert (code, "certificate verify failed" in told) == (78, True), told
    inside("rm", "-f", "/mlflow/database/roots.crt")
    code, told = outside("verify-full", SSL_CERT_FILE="/mlflow/database-ca/ca.crt")
    assert code == 0, told
    inside("rm", "-f", "/mlflow/database/roots.crt")


def test_a_name_that_the_certificate_does_not_hold_is_refused() -> None:
    address = own("get", "pod", "outside", "-o", "jsonpath={.status.podIP}")
    uri = f"postgresql://mlflow@{address}:5432/mlflow"
    code, told = outside(MLFLOW_BACKEND_STORE_URI=uri)
    assert (code, "does not match host name" in told) == (78, True), told


def encoded(password: str) -> str:
    return "".join(f"%{byte:02X}" for byte in password.encode())


def test_the_server_runs_without_ever_seeing_the_uri() -> None:
    """Also when its Secret becomes malformed later and the container is started again."""
    apply(secret("db", uri=f"postgresql+psycopg2://mlflow:{encoded(PASSWORDS['password'])}@outside:5432/mlflow"))
    try:
        done = install("ext", external(caSecret="authority"), "--wait", "--timeout", "5m")
        assert done.returncode == 0, f"{done.stderr}\n{everything_said('ext')}"
        assert "WARNING" not in done.stdout
        tracking = ("exec", "deploy/ext-tracking", "-c", "tracking", "--")
        seen = own(*tracking, "sh", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'")
        assert "postgresql+psycopg2:///?service=mlflow" in seen
        assert encoded(PASSWORDS["password"]) not in seen
        assert PASSWORDS["password"] not in seen
        apply(secret("db", uri=f"postgresql+psycopg2://mlflow:{CANARY}@x@outside/mlflow"))
        selector = ("-l", "app.kubernetes.io/instance=ext,app.kubernetes.io/component=tracking")
        count = ("get", "pod", *selector, "-o", "jsonpath={.items[0].status.containerStatuses[0].restartCount}")
        own(*tracking, "python3", "-c", "import os; os.kill(1, 15)")
        until("the container has started again", lambda: own(*count) == "1")
        own("wait", "pod", *selector, "--for=condition=Ready", "--timeout=120s")
        assert not leaked(everything_said("ext"))
    finally:
        subprocess.run([helm(), "uninstall", "ext", "-n", NAMESPACE, "--wait"], check=True, capture_output=True)


def keyed(script: str, *arguments: str, **keys: str) -> tuple[int, str]:
    environment = {
        "MLFLOW_BACKEND_STORE_URI": f"postgresql+psycopg2://mlflow@{DATABASE}:5432/mlflow",
        "PGPASSWORD": PASSWORDS["password"],
        "CREDENTIALS_FROM": "Secret demo-mlflow-keys",
        **keys,
    }
    return inside("python3", script, *arguments, check=False, environment=environment)


def test_lost_keys_stop_migration_and_accepted_loss_keeps_webhooks() -> None:
    migrate = "/mlflow/scripts/migrate.py"
    code, told = keyed("/tests/keys.py", "write", "first")
    assert code == 0, told
    assert keyed(migrate)[0] == keyed("/mlflow/scripts/wait_for_schema.py")[0] == 0
    new = {**KEYS, "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode()}
    new["MLFLOW_CRYPTO_KEK_PASSPHRASE"] = "another"
    for script in (migrate, "/mlflow/scripts/wait_for_schema.py"):
        code, told = keyed(script, **new)
        assert code == 78, told
        assert "1 webhook secret (MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY) and 1 gateway secret (MLFLOW_CRYPTO_KEK" in told
        assert "Secret demo-mlflow-keys" in told
    assert keyed("/tests/keys.py", "list")[1].splitlines()[-1] == "webhook first ACTIVE"
    code, told = keyed(migrate, ACCEPT_UNREADABLE_ROWS="true", **new)
    assert code == 0, told
    code, told = keyed("/tests/keys.py", "write", "second", **new)
    assert sorted(told.splitlines()[-2:]) == ["webhook first DISABLED", "webhook second ACTIVE"]
    assert keyed(migrate, **new)[0] == 0
