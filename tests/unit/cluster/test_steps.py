"""What `make up` shows: each thing that was done, how long it has been at it, and a failure in words."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from .loading import CLUSTER

PLAY: list[dict[str, Any]] = [
    {
        "name": "Start it",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "tasks": [
            {"name": "Look", "ansible.builtin.command": "true", "changed_when": False},
            {"name": "Make it", "ansible.builtin.command": "sleep 2.1"},
            {"name": "Leave out", "ansible.builtin.command": "false", "when": "1 > 2"},
            {"name": "Say it", "ansible.builtin.debug": {"msg": "It is there."}},
            {"name": "Check it", "ansible.builtin.fail": {"msg": "No Docker answers here."}},
        ],
    }
]


def test_one_line_for_each_thing_that_was_done(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(json.dumps(PLAY))
    steps = {"ANSIBLE_CALLBACK_PLUGINS": str(CLUSTER / "callback_plugins"), "ANSIBLE_STDOUT_CALLBACK": "steps"}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "play.yml"],
        cwd=tmp_path,
        env={**os.environ, **steps, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    lines = [re.sub(r"^\[ *[0-9ms]+\]", "[time]", line) for line in done.stdout.splitlines()]
    assert [re.sub(r"[0-9]+s$", "Ns", line) for line in lines] == [
        "[time] Start it",
        "[time] Make it: Ns",
        "[time] It is there.",
    ]
    assert "Check it failed.\nNo Docker answers here.\n" in done.stderr
