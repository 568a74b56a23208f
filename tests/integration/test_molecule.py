"""The shipped playbooks on the real cluster: check, converge, idempotence, use, loss of every pod, absent twice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

SCENARIOS = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
EVERYWHERE = {"local"}  # the others belong to `make campaign`
CAMPAIGN = bool(os.environ.get("NEBARI_MLFLOW_CAMPAIGN"))


@pytest.mark.cluster
@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if CAMPAIGN or name in EVERYWHERE])
def test_scenario(scenario: str) -> None:
    program = Path(sys.executable).with_name("molecule")
    done = subprocess.run(
        [program, "--base-config", ".config/molecule/config.yml", "test", "--scenario-name", scenario],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "ANSIBLE_DIFF_ALWAYS": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    told = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert done.returncode == 0, told[-8000:]
    assert "idempotence: Executed: Successful" in told
    assert "verify: Executed: Successful" in told
