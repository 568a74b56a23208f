"""A full disk, and an installation that nobody may write to: for real, in a mount namespace of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

FULL = 'mount -t tmpfs -o size=64k none "$0"'
READ_ONLY = 'for folder in $0; do mount --bind "$folder" "$folder" && mount -o remount,bind,ro "$folder"; done'
RUN = """
import sys
from pathlib import Path
from nebari_mlflow.play import runner, workspace
workspace.ROOM = 0
workspace.candidates = lambda: [Path(sys.argv[1])]
runner.run("x.y.z", {"large": "x" * 100_000}, name="test")
"""


def mounted(mounts: str, where: str, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command after these mounts, which only it sees."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine gives nobody mounts of their own")
    script = f'set -e; {mounts}; exec "$@"'
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, where, *command],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_disk_that_fills_up_is_called_full(tmp_path: Path) -> None:
    done = mounted(FULL, str(tmp_path), sys.executable, "-c", RUN, str(tmp_path), XDG_STATE_HOME=str(tmp_path))
    assert "SetupError: NML302: Nothing can be written to the folder of the run: it is full." in done.stderr


def test_a_plugin_that_nobody_may_write_to_works(
    variables: str, gone: str, path_with_helm: str, tmp_path: Path
) -> None:
    command = [str(Path(sys.executable).with_name("nebari-mlflow")), "plan", "--vars", variables, "--kubeconfig", gone]
    places = f"{ROOT / 'nebari_mlflow'} {ROOT / 'collections'}"
    done = mounted(READ_ONLY, places, *command, "--json", PATH=path_with_helm, XDG_STATE_HOME=str(tmp_path))
    error = json.loads(done.stdout)["error"]
    assert (error["code"], error["task"]) == ("NML403", "server : Plan the deploy"), "it got as far as the cluster"
