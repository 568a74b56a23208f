"""The start of PostgreSQL: what was cut off is started over, data stays, and nobody gets in without a password."""

from __future__ import annotations

import fcntl
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.chart.rendering import CHART

ENTRYPOINT = """#!/bin/sh
# Stands for the image's: initialises an empty directory, then says what it was asked to run.
[ -s "$PGDATA/PG_VERSION" ] || { mkdir -p "$PGDATA"; echo 17 >"$PGDATA/PG_VERSION"; [ -z "$CUT_OFF" ] || exit 1; }
rm -f "${PGDATA%/*}/initialising"
echo "$POSTGRES_INITDB_ARGS" >"${PGDATA%/*}/initdb"
echo "$@"
"""
POSTGRES = """#!/bin/sh
# Stands for PostgreSQL in single-user mode: keeps what it was given.
echo "$@" >"${PGDATA%/*}/arguments"
cat >"${PGDATA%/*}/statement"
[ -z "$BROKEN" ]
"""
PASSWORDS = {"postgres-password": "super'1$do$", "password": "m\\'2"}


class Volume:
    """PostgreSQL's volume, and one start on it after the other."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data/pgdata"
        self.mark = self.data.parent / "initialising"
        self.data.parent.mkdir()
        self.bin = directory / "bin"
        self.bin.mkdir()
        self.program("docker-entrypoint.sh", ENTRYPOINT)
        self.program("postgres", POSTGRES)
        self.program("id", "#!/bin/sh\necho postgres\n")
        self.passwords = directory / "passwords"
        self.passwords.mkdir()
        for name, value in PASSWORDS.items():
            (self.passwords / name).write_text(value, encoding="utf-8")

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text, encoding="utf-8")
        (self.bin / name).chmod(0o755)

    def run(self, cut_off: str = "", broken: str = "") -> subprocess.CompletedProcess[str]:
        env = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "PGDATA": str(self.data),
            "POSTGRES_PASSWORD_FILE": str(self.passwords / "postgres-password"),
            "POSTGRES_INITDB_ARGS": "--data-checksums",
            "MLFLOW_USER": "mlflow",
            "CREDENTIALS_FROM": "Secret demo-mlflow-postgresql",
            "CUT_OFF": cut_off,
            "BROKEN": broken,
        }
        script = CHART / "files/postgresql/start.sh"
        return subprocess.run(["sh", str(script), "-cx=1"], env=env, capture_output=True, text=True, check=False)

    def start(self, cut_off: str = "") -> str:
        done = self.run(cut_off)
        assert cut_off or done.returncode == 0, done.stderr
        return done.stdout

    def beside(self, name: str) -> str:
        """Return a file that a stand-in left beside the data."""
        return (self.data.parent / name).read_text(encoding="utf-8")


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


@pytest.mark.parametrize("other", ["data/PG_VERSION", "PG_VERSION", "16/docker/PG_VERSION"])
def test_a_new_database_is_never_made_beside_another(volume: Volume, other: str) -> None:
    foreign = volume.data.parent / other
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.touch()
    assert volume.start(cut_off="yes") == ""
    assert not volume.data.exists()
    assert not volume.mark.exists()


def test_an_empty_volume_may_have_what_file_systems_put_there(volume: Volume) -> None:
    (volume.data.parent / "lost+found").mkdir()
    (volume.data.parent / ".snapshot").mkdir()
    assert volume.start() == "postgres -cx=1\n"


def test_a_first_start(volume: Volume) -> None:
    assert volume.start() == "postgres -cx=1\n"
    assert not volume.mark.exists()


def test_a_first_start_that_was_cut_off_is_started_over(volume: Volume) -> None:
    volume.start(cut_off="yes")
    assert volume.mark.exists()
    (volume.data / "half-made").touch()
    assert volume.start() == "start: the first start was interrupted; starting it over\npostgres -cx=1\n"
    assert not (volume.data / "half-made").exists()
    assert not volume.mark.exists()


def test_data_stays(volume: Volume) -> None:
    volume.start()
    (volume.data / "run").touch()
    assert volume.start() == "postgres -cx=1\n"
    assert (volume.data / "run").exists()


def test_data_that_came_from_elsewhere_stays(volume: Volume) -> None:
    volume.data.mkdir()
    (volume.data / "PG_VERSION").write_text("17\n", encoding="utf-8")
    (volume.data / "run").touch()
    volume.start()
    assert (volume.data / "run").exists()


def test_new_data_ask_other_users_for_a_password(volume: Volume) -> None:
    volume.start()
    assert volume.beside("initdb") == "--data-checksums --auth-local=peer --auth-host=scram-sha-256\n"


def test_data_of_an_earlier_version_is_closed(volume: Volume) -> None:
    volume.start()
    for old in ("local all all trust\nhost all all 127.0.0.1/32 trust\n", "", "half of a li"):
        (volume.data / "pg_hba.conf").write_text(old, encoding="utf-8")
        volume.start()
        rules = (volume.data / "pg_hba.conf").read_text(encoding="utf-8").splitlines()
        assert rules[1:] == ["local all all peer", "local replication all peer", "host all all all scram-sha-256"]


def test_unnamed_user_needs_a_password_on_the_socket_too(volume: Volume) -> None:
    volume.program("id", "#!/bin/sh\nexit 1\n")
    volume.start()
    assert "--auth-local=scram-sha-256" in volume.beside("initdb")
    volume.start()
    assert "local all all scram-sha-256" in (volume.data / "pg_hba.conf").read_text(encoding="utf-8")


def test_existing_data_takes_the_passwords_of_the_secret(volume: Volume) -> None:
    volume.start()
    volume.start()
    statement, arguments = volume.beside("statement"), volume.beside("arguments")
    assert r"('postgres', E'super''1\x24do\x24'), ('mlflow', E'm\\''2')" in statement
    assert "log_min_error_statement=panic" in arguments
    for password in PASSWORDS.values():
        assert password not in arguments


def test_data_that_takes_no_password_still_starts(volume: Volume) -> None:
    volume.start()
    done = volume.run(broken="yes")
    assert (done.returncode, done.stdout) == (0, "postgres -cx=1\n")
    assert "the passwords of Secret demo-mlflow-postgresql could not be set" in done.stderr
    for password in PASSWORDS.values():
        assert password not in done.stderr


@pytest.mark.parametrize("key", PASSWORDS)
@pytest.mark.parametrize("content", [None, "", "\n"], ids=["missing", "empty", "a line break"])
@pytest.mark.parametrize("before", [0, 1], ids=["new data", "existing data"])
def test_an_empty_password_changes_nothing_and_is_named(
    volume: Volume, key: str, content: str | None, before: int
) -> None:
    for _ in range(before):
        volume.start()
    (volume.passwords / key).unlink()
    if content is not None:
        (volume.passwords / key).write_text(content, encoding="utf-8")
    files = {file: file.read_bytes() for file in volume.data.parent.rglob("*") if file.is_file()}
    done = volume.run()
    assert done.returncode == 78
    assert f"Secret demo-mlflow-postgresql holds no password under the key {key}." in done.stderr
    assert files == {file: file.read_bytes() for file in volume.data.parent.rglob("*") if file.is_file()}


def test_two_servers_never_run_on_one_volume(volume: Volume) -> None:
    """A pod that was deleted by force is replaced while its PostgreSQL still stops."""
    volume.start()
    other = os.open(volume.data.parent, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as threads:
        second = threads.submit(volume.start)
        with pytest.raises(TimeoutError):
            second.result(1)
        os.close(other)
        told = second.result(20)
    assert told.splitlines() == [
        "start: another PostgreSQL still runs on this volume; waiting for its end",
        "postgres -cx=1",
    ]
