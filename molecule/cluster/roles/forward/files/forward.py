"""Keep a port of this machine forwarded to a Service, until told to stop.

`kubectl port-forward` ends with the pod that it happened to reach; this starts it again.
State is one JSON file: the process (id and start time, so that a reused id is never taken for ours) and the port.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import psutil

from nebari_mlflow.cli.forward import free_port
from nebari_mlflow.errors import InputError

SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h
WAIT = 20  # seconds until the port must answer


def started_at(pid: int) -> str:
    """Return when a process started; empty when there is none."""
    try:
        return str(psutil.Process(pid).create_time())
    except psutil.Error:
        return ""


def read(state: Path) -> dict[str, str | int]:
    """Return the state of a forward that is alive; empty when there is none."""
    try:
        saved: dict[str, str | int] = json.loads(state.read_text())
    except (OSError, ValueError):
        return {}
    return saved if saved.get("started") and started_at(int(saved["pid"])) == saved["started"] else {}


def answers(port: int) -> bool:
    """Tell whether something accepts connections on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def end_with_parent() -> None:
    """Have the kernel end kubectl when its keeper is killed: it would hold the port, and nobody would know it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)


def keep(kubectl: list[str], port: int) -> None:
    """Forward until a signal comes; start again whenever the connection ends."""
    child: subprocess.Popen[bytes] | None = None

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if child is not None:
            child.terminate()
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    while True:
        child = subprocess.Popen([*kubectl, f"{port}:5000"], preexec_fn=end_with_parent)
        child.wait()
        time.sleep(1)


def up(state: Path, kubectl: list[str], wanted: int) -> None:
    """Start a forward in the background, unless one is alive, and wait until its port answers."""
    alive = read(state)
    if alive and alive["target"] == " ".join(kubectl) and answers(int(alive["port"])):
        print(json.dumps({"changed": False, "port": alive["port"]}))
        return
    down(state)
    try:
        port = free_port(wanted)
    except InputError as error:
        raise SystemExit(error.cause) from error
    with state.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, __file__, "keep", "--state", str(state), "--port", str(port), *kubectl],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    saved = {
        "pid": process.pid,
        "started": started_at(process.pid),
        "port": port,
        "target": " ".join(kubectl),
    }
    state.write_text(json.dumps(saved))
    deadline = time.monotonic() + WAIT
    while not answers(port):
        if time.monotonic() > deadline:
            down(state)
            raise SystemExit(
                f"Port {port} did not answer within {WAIT} s; kubectl's words are in {state.with_suffix('.log')}."
            )
        time.sleep(0.2)
    print(json.dumps({"changed": True, "port": port}))


def down(state: Path) -> bool:
    """End the forward and its kubectl, if it is alive; return whether it was."""
    alive = read(state)
    if alive:
        os.killpg(int(alive["pid"]), signal.SIGTERM)
    state.unlink(missing_ok=True)
    return bool(alive)


def main() -> None:
    """Read the command line: up, down, or keep (what up starts); what is left of it is the kubectl command."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("verb", choices=["up", "down", "keep"])
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--port", type=int, default=5000)
    options, kubectl = parser.parse_known_args()
    if options.verb == "up":
        up(options.state, kubectl, options.port)
    elif options.verb == "keep":
        keep(kubectl, options.port)
    else:
        print(json.dumps({"changed": down(options.state)}))


if __name__ == "__main__":
    main()
