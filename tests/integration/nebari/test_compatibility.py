"""The oldest Nebari that is supported, in a locked environment of its own: the unit tests, and a deploy."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .support import HERE, Project

ROOT = Path(__file__).parents[3]
LOCK = ROOT / "requirements/oldest.txt"


@pytest.fixture(scope="module")
def oldest() -> Path:
    """The environment's bin folder. It is kept in the cache, by the lock's hash and this checkout."""
    cache = os.environ.get("NEBARI_MLFLOW_CACHE") or Path("~/.cache/nebari-mlflow").expanduser()
    key = hashlib.sha256(LOCK.read_bytes() + str(ROOT).encode()).hexdigest()[:12]
    folder = Path(cache) / f"oldest-{key}"
    if not (folder / ".done").exists():
        uv = [sys.executable, "-m", "uv"]
        python = str(folder / "bin/python")
        subprocess.run(
            [*uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)], check=True
        )
        subprocess.run([*uv, "pip", "sync", "--quiet", "--python", python, str(LOCK)], check=True)
        subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, "--no-deps", "-e", str(ROOT)], check=True)
        (folder / ".done").touch()
    return folder / "bin"


def test_the_unit_tests_pass_with_it(oldest: Path) -> None:
    done = subprocess.run(
        [oldest / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/nebari_mlflow"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert (
        "2024." in subprocess.run([oldest / "nebari", "--version"], capture_output=True, text=True, check=True).stdout
    )


@pytest.mark.cluster
def test_it_deploys_what_the_newest_one_deploys(oldest: Path, deployed: Project) -> None:
    with_oldest = dataclasses.replace(deployed, command=(str(oldest / "python"), str(HERE / "preloaded.py")))
    code, output = with_oldest.nebari("deploy")
    assert code == 0, output
    assert "changed:   nothing" in output
    with_oldest.configure({"enabled": False})
    code, output = with_oldest.nebari("deploy")
    assert code == 0, output
    with_oldest.configure({"enabled": True})
    code, output = with_oldest.nebari("deploy")
    assert code == 0, output
    assert "is ready" in output
