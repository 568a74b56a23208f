"""The UI's port stays open until it is closed, and only what was started is ever ended.

What kubectl does here, accept connections on a port of this machine, a small Python program does.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

FORWARD = Path(__file__).parents[2] / "molecule/cluster/roles/forward/files/forward.py"
LISTEN = (
    "import http.server, sys; port = int(sys.argv[-1].split(':')[0]); "
    "http.server.HTTPServer(('127.0.0.1', port), http.server.BaseHTTPRequestHandler).serve_forever()"
)
TARGET = [sys.executable, "-c", LISTEN]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "forward.json"
    yield path
    forward("down", path)


def forward(verb: str, state: Path, *more: str) -> dict[str, int | bool]:
    done = subprocess.run(
        [sys.executable, FORWARD, verb, f"--state={state}", *more], capture_output=True, text=True, check=True
    )
    answer: dict[str, int | bool] = json.loads(done.stdout)
    return answer


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(wanted: bool, port: int) -> bool:
    deadline = time.monotonic() + 10
    while listening(port) is not wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return listening(port) is wanted


def test_a_second_up_keeps_the_first(state: Path) -> None:
    first = forward("up", state, "--port=15000", *TARGET)
    assert first["changed"] is True
    assert forward("up", state, "--port=15000", *TARGET) == {"changed": False, "port": first["port"]}


def test_a_port_that_is_taken_is_passed_over(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 15100)):
        assert forward("up", state, "--port=15100", *TARGET)["port"] == 15101


def test_it_comes_back_when_the_connection_ends(state: Path) -> None:
    port = int(forward("up", state, "--port=15200", *TARGET)["port"])
    keeper = json.loads(state.read_text())["pid"]
    child = int(Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()[0])
    os.kill(child, 9)
    assert until(False, port)
    assert until(True, port)


def test_a_killed_keeper_takes_its_kubectl_along(state: Path) -> None:
    port = int(forward("up", state, "--port=15400", *TARGET)["port"])
    os.kill(json.loads(state.read_text())["pid"], 9)
    assert until(False, port)
    assert forward("up", state, "--port=15400", *TARGET) == {"changed": True, "port": port}


def test_down_closes_the_port_and_accepts_a_closed_one(state: Path) -> None:
    port = int(forward("up", state, "--port=15300", *TARGET)["port"])
    assert forward("down", state) == {"changed": True}
    assert until(False, port)
    assert forward("down", state) == {"changed": False}


def test_unrelated_process_with_the_same_id_is_left_alone(state: Path) -> None:
    other = subprocess.Popen(["sleep", "60"])
    try:
        state.write_text(json.dumps({"pid": other.pid, "started": "1", "port": 1, "target": ""}))
        assert forward("down", state) == {"changed": False}
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
