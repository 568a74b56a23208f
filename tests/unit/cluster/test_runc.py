"""What the machine does not give is taken out of what runc reads, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .loading import load

runc = load("roles/docker/files/runc.py")

PROCESS = {
    "args": ["sh"],
    "oomScoreAdj": -500,
    "capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"], "effective": ["CAP_SYS_RESOURCE"], "ambient": None},
}


@pytest.mark.parametrize("option", [["--bundle", "{}"], ["-b", "{}"], ["--bundle={}"]])
def test_a_container_is_created_with_less(tmp_path: Path, option: list[str]) -> None:
    process = {**PROCESS, "capabilities": {k: v for k, v in PROCESS["capabilities"].items() if v}}  # type: ignore[attr-defined]
    (tmp_path / "config.json").write_text(json.dumps({"process": process, "root": {"path": "rootfs"}}))
    runc.prepare(["--root", "/run/x", "create", *(word.format(tmp_path) for word in option), "name"])
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["root"] == {"path": "rootfs"}
    assert written["process"]["capabilities"] == {"bounding": ["CAP_CHOWN"], "effective": []}
    assert "oomScoreAdj" not in written["process"]


def test_a_command_is_run_with_less(tmp_path: Path) -> None:
    file = tmp_path / "process.json"
    file.write_text(json.dumps({**PROCESS, "capabilities": None}))
    runc.prepare(["exec", "--process", str(file), "name"])
    assert json.loads(file.read_text()) == {"args": ["sh"], "capabilities": None}


def test_other_calls_touch_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"process": PROCESS}))
    runc.prepare(["kill", "name", "9"])
    assert json.loads((tmp_path / "config.json").read_text())["process"] == PROCESS
