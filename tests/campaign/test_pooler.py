"""MLflow's migration through PgBouncer, as Debian packages it: what works, and what is told."""

from __future__ import annotations

import io
import json
import os
import platform
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.integration.test_outside_database import DATA, ENCODED, PASSWORD, in_data, migrate, sql, uri
from tests.integration.test_outside_database import database as database  # a fixture

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("database", "pooler"),
    pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it"),
    pytest.mark.skipif(not shutil.which("apt-get") or platform.machine() != "x86_64", reason="needs Debian's packages"),
]

PACKAGES = ("pgbouncer", "libevent-2.1-7", "libc-ares2")
FOLDER = "/tmp/pooler"  # noqa: S108 (in a pod)
MODES = {"transaction": 6501, "statement": 6502, "session": 6503}
SETTINGS = """
[databases]
* = host=127.0.0.1 port=5433
[pgbouncer]
listen_addr = *
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = {mode}
client_tls_sslmode = require
client_tls_cert_file = /tmp/tls.crt
client_tls_key_file = /tmp/tls.key
client_tls_ca_file = /tmp/tls.crt
server_tls_sslmode = disable
logfile = {folder}/{mode}.log
pidfile = {folder}/{mode}.pid
"""


def packed(folder: Path) -> bytes:
    """Return an archive of PgBouncer, its libraries and a configuration for each mode."""
    for package in PACKAGES:
        subprocess.run(["apt-get", "download", package], cwd=folder, check=True, capture_output=True)
    for file in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(file), str(folder / "root")], check=True)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for file in (folder / "root").rglob("*"):
            if file.name == "pgbouncer" and file.parent.name == "sbin":
                archive.add(file, "pgbouncer")
            if ".so." in file.name:
                archive.add(file.resolve(), file.name)
        texts = {f"{mode}.ini": SETTINGS.format(port=port, mode=mode, folder=FOLDER) for mode, port in MODES.items()}
        for name, text in {**texts, "users": f'"app" "{PASSWORD}"\n'}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return stream.getvalue()


@pytest.fixture(scope="module")
def pooler(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Start PgBouncer in the database's pod, once for each mode."""
    unpack = ["kubectl", "-n", DATA, "exec", "-i", "pg", "--", "sh", "-c", f"mkdir {FOLDER}; tar -x -C {FOLDER}"]
    subprocess.run(unpack, input=packed(tmp_path_factory.mktemp("pooler")), check=True)
    for mode in MODES:
        start = f"LD_LIBRARY_PATH={FOLDER} {FOLDER}/pgbouncer -d {FOLDER}/{mode}.ini"
        in_data("exec", "pg", "--", "sh", "-c", start)
    ports = [{"name": mode, "port": port, "targetPort": port} for mode, port in MODES.items()]
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "pooler"},
        "spec": {"selector": {"app": "pg"}, "ports": ports},
    }
    in_data("apply", "-f", "-", stdin=json.dumps(body))
    for mode in MODES:
        sql(f"CREATE DATABASE by_{mode} OWNER app")


def through(mode: str, more: str = "", name: str = "") -> dict[str, str]:
    """Return the migration's environment; the certificate is for another name."""
    return {**uri(name or f"by_{mode}", "app", ENCODED, f"pooler:{MODES[mode]}", more), "PGSSLMODE": "verify-ca"}


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_migrations_through_a_pooler_take_turns(mode: str) -> None:
    ended = migrate([through(mode)] * 3)
    assert [code for code, _, _ in ended] == [0, 0, 0], ended
    assert sum(": migrated after" in said for _, said, _ in ended) == 1
    locks = "DO $$ BEGIN ASSERT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') = 0; END $$"
    sql(locks, f"by_{mode}")


LEFT = """
import os, sys, time
sys.path.insert(0, "/mlflow/scripts")
import psycopg2, migrate, mlflow_schema
os.environ["PGAPPNAME"] = "mlflow-server"
given, _ = mlflow_schema.target()
connection = psycopg2.connect(mlflow_schema.mlflow_uri.join({**given, "sslmode": "verify-ca"}, "postgresql"))
connection.cursor().execute("SELECT 1")
connection.close()
os.environ["PGAPPNAME"] = "mlflow-migrate"
clock = mlflow_schema.Clock(60)
database = mlflow_schema.connect(clock)
assert database.is_pooled()
migrate.wait_for_writers(database, clock)
print("went on")
"""


def test_sessions_that_a_pooler_keeps_hold_no_migration_up() -> None:
    ((code, said, _),) = migrate([through("transaction")], ["python3", "-c", LEFT])
    assert (code, "went on" in said) == (0, True), said


def test_a_direct_connection_is_not_taken_for_a_pooled_one() -> None:
    ((code, said, _),) = migrate([uri("by_session", "app", ENCODED)], ["python3", "-c", LEFT])
    assert "AssertionError" in said
    assert code == 1


def test_what_a_pooler_refuses_is_named() -> None:
    cases = [
        (through("statement"), "pool_mode"),
        (through("transaction", "?options=-csearch_path%3Dx"), "ignore_startup_parameters"),
        (through("transaction", name="nosuch"), "does not exist"),
        ({**through("transaction"), "PGSSLMODE": "disable"}, "externalDatabase.sslMode"),
    ]
    for (_, cure), (code, said, _) in zip(cases, migrate([given for given, _ in cases]), strict=True):
        assert (code, cure in said) == (78, True), said
        assert ENCODED not in said
