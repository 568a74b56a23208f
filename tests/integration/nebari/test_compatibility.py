"""The oldest Nebari that is supported: the unit tests of what it calls, and a deploy beside that of test_deploy.py."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT

from .support import Project

CALLED = [f"tests/unit/nebari_mlflow/test_{name}.py" for name in ("notebooks", "configs", "stage")]


def test_the_unit_tests_pass_with_it(oldest: Path) -> None:
    done = subprocess.run(
        [oldest / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *CALLED],
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
@pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it")
def test_it_finds_nothing_to_change_after_the_newest_one(oldest: Path, deployed: Project) -> None:
    code, output = deployed.by(oldest).nebari("deploy")
    assert code == 0, output
    assert "changed:   nothing" in output
