"""The start of PostgreSQL: a first start that was cut off is started over, and data is never touched."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.chart.rendering import CHART

ENTRYPOINT = """#!/bin/sh
# Stands for the image's: initialises an empty directory, then says what it was asked to run.
[ -s "$PGDATA/PG_VERSION" ] || { mkdir -p "$PGDATA"; echo 17 >"$PGDATA/PG_VERSION"; [ -z "$CUT_OFF" ] || exit 1; }
rm -f "${PGDATA%/*}/initialising"
echo "$@"
"""


class Volume:
    """PostgreSQL's volume, and one start on it after the other."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data/pgdata"
        self.mark = self.data.parent / "initialising"
        self.data.parent.mkdir()
        self.bin = directory / "bin"
        self.bin.mkdir()
        (self.bin / "docker-entrypoint.sh").write_text(ENTRYPOINT, encoding="utf-8")
        (self.bin / "docker-entrypoint.sh").chmod(0o755)

    def start(self, cut_off: str = "") -> str:
        env = {"PATH": f"{self.bin}:{os.environ['PATH']}", "PGDATA": str(self.data), "CUT_OFF": cut_off}
        script = CHART / "files/postgresql/start.sh"
        done = subprocess.run(
            ["sh", str(script), "-cx=1"], env=env, stdout=subprocess.PIPE, text=True, check=not cut_off
        )
        return done.stdout


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


@pytest.mark.parametrize("other", ["data/PG_VERSION", "PG_VERSION", "16/docker/PG_VERSION"])
def test_a_new_database_is_never_made_beside_another(volume: Volume, other: str) -> None:
    foreign = volume.data.parent / other
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.touch()
    with pytest.raises(subprocess.CalledProcessError):
        volume.start()
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
