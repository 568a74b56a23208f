"""Run tasks of other collections by ansible-playbook, and return what each of them said."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.integration.clouds.play import ROOT, environment


def run(
    tasks: Mapping[str, Mapping[str, Any]],
    folder: Path,
    variables: dict[str, str],
    *flags: str,
    interpreter: str = sys.executable,
    **play: Any,
) -> dict[str, dict[str, Any]]:
    """Return the results by the names of the tasks; one that fails does not stop the others."""
    path = folder / "play.yml"
    whole = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "ignore_errors": True,
        "vars": {"ansible_python_interpreter": interpreter},
        "tasks": [{"name": name, **task} for name, task in tasks.items()],
        **play,
    }
    path.write_text(json.dumps([whole]))
    done = subprocess.run(
        ["ansible-playbook", str(path), *flags],
        cwd=ROOT,
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    start = done.stdout.find('{"custom_stats"')
    assert start >= 0, done.stdout + done.stderr
    report = json.loads(done.stdout[start:])
    return {each["task"]["name"]: each["hosts"]["localhost"] for each in report["plays"][0]["tasks"]}
