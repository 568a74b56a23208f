"""Every Ansible that this project allows runs its playbooks: ansible-core 2.19 to the newest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import CACHE, ROOT, environment

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it"),
]
VERSIONS = {"2.19": "ansible>=12.3,<13", "2.20": "ansible>=13,<14", "2.21": "ansible>=14,<15", "newest": "ansible"}
NEEDED = ["kubernetes>=27.2", "pyyaml>=6", "urllib3"]
INPUTS = {"mlflow_provider": "local", "mlflow_project_name": "demo", "mlflow_namespace": "dev"}


def uv(*arguments: str) -> None:
    program = next(path for path in (CACHE / "uv/bin/uv", ROOT / ".venv/bin/uv") if path.exists())
    subprocess.run([str(program), *arguments], check=True)


def python(newer: bool) -> str:
    """Return a Python on PATH or of pyenv; newer releases of Ansible need 3.12."""
    if not newer:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    found = [
        *pyenv.glob("3.1[2-4].*/bin/python3"),
        *map(Path, filter(None, map(shutil.which, ("python3.13", "python3.12")))),
    ]
    works = [path for path in found if subprocess.run([str(path), "-c", ""], check=False).returncode == 0]
    if not works:
        pytest.skip("this machine has no Python 3.12 or later, which this Ansible needs")
    return str(works[0])


@pytest.fixture(scope="module", params=VERSIONS)
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of an environment's programs."""
    folder = tmp_path_factory.mktemp(f"ansible-{request.param}")
    uv("venv", "--quiet", "--python", python(newer=request.param != "2.19"), str(folder))
    uv("pip", "install", "--quiet", "--python", str(folder / "bin/python"), VERSIONS[request.param], *NEEDED)
    return folder / "bin"


def play(programs: Path, *flags: str, **more: str) -> tuple[int, str]:
    line = [str(programs / "ansible-playbook"), "playbooks/mlflow.yml", "-e", json.dumps({**INPUTS, **more}), *flags]
    done = subprocess.run(line, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_plan_and_a_refusal_work_with_every_ansible(programs: Path) -> None:
    code, output = play(programs, "--check")
    assert code == 0, output
    assert "http://demo-mlflow-tracking.dev.svc:5000" in output
    code, output = play(programs, mlflow_domian="x.org")
    assert code != 0
    assert "did you mean mlflow_domain?" in output
