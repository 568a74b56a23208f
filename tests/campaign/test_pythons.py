"""Every Python that this project allows installs what is locked, and passes the tests that need no cluster."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.campaign.test_ansible_versions import uv
from tests.support import BUILD_LOCK, ROOT, environment

pytestmark = pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it")
TESTS = ["tests/unit/nebari_mlflow", "tests/unit/plugins", "tests/contract"]


def interpreter(version: str) -> Path:
    """Return that Python, on PATH or of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    places = [Path(part) for part in os.environ["PATH"].split(os.pathsep) if "shims" not in part]
    found = [*pyenv.glob(f"{version}.*/bin/python3"), *(place / f"python{version}" for place in places)]
    works = [path for path in found if path.exists()]
    if not works:
        pytest.skip(f"this machine has no Python {version}")
    return works[0]


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_unit_tests_pass_with_every_python(version: str, tmp_path: Path) -> None:
    python = tmp_path / "venv/bin/python"
    uv("venv", "--quiet", "--python", str(interpreter(version)), str(tmp_path / "venv"))
    uv("pip", "sync", "--quiet", "--python", str(python), str(ROOT / "requirements/test.txt"))
    uv("pip", "install", "--quiet", "--python", str(python), "--no-deps", *BUILD_LOCK, "--editable", str(ROOT))
    path = f"{python.parent}:{os.environ['PATH']}"
    line = [str(python), "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS]
    done = subprocess.run(
        line, cwd=ROOT, env={**environment(), "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:]
