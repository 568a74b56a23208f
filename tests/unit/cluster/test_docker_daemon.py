"""Only what is the project's own daemon is ever taken for it, and it stays as long as a clone needs it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .loading import load

docker_daemon = load("library/docker_daemon.py")


@pytest.fixture
def daemon(tmp_path: Path) -> Any:
    return docker_daemon.Daemon(data=tmp_path / "data", run=tmp_path / "run")


def test_it_keeps_everything_in_its_own_folders(daemon: Any) -> None:
    settings = daemon.settings()
    text = json.dumps(settings)
    assert settings["data-root"].startswith(str(daemon.data))
    assert all(settings[name].startswith(str(daemon.run)) for name in ("exec-root", "pidfile"))
    assert settings["hosts"] == [f"unix://{daemon.socket}"]
    assert "runtimes" not in settings
    assert "/var/run" not in text
    assert "/var/lib" not in text


def test_a_runtime_is_used_where_one_is_given(tmp_path: Path) -> None:
    settings = docker_daemon.Daemon(data=tmp_path, run=tmp_path, runtime=tmp_path / "runc").settings()
    assert settings["runtimes"][settings["default-runtime"]]["path"] == str(tmp_path / "runc")


def test_a_process_is_ours_only_if_it_names_our_folders(daemon: Any) -> None:
    is_dockerd, is_child = docker_daemon.dockerd(daemon), docker_daemon.children(daemon)
    assert is_dockerd(["/usr/sbin/dockerd", "--config-file", str(daemon.config)])
    assert not is_dockerd(["/usr/sbin/dockerd", "-H", "fd://"])
    assert not is_dockerd(["vi", str(daemon.config)])
    assert not is_dockerd([])
    assert is_child(["containerd", "--config", f"{daemon.run}/exec/containerd/containerd.toml"])
    assert is_child(["/usr/bin/containerd-shim-runc-v2", "-address", f"{daemon.run}/exec/containerd/containerd.sock"])
    assert not is_child(["/usr/bin/containerd-shim-runc-v2", "-address", "/run/containerd/containerd.sock"])
    assert not is_child(["tail", f"{daemon.run}/exec/containerd/log"])


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "a mark of our own"])
    yield process
    process.kill()
    process.wait()


def test_only_ours_is_signalled(sleeper: subprocess.Popen[bytes]) -> None:
    assert docker_daemon.signal_all(lambda words: "a mark of nobody" in words, 15) == 0
    assert sleeper.poll() is None
    assert docker_daemon.signal_all(lambda words: words[-1:] == ["a mark of our own"], 15) == 1
    assert sleeper.wait(10) == -15


def test_a_stale_socket_is_no_daemon(daemon: Any) -> None:
    assert not daemon.answers()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    calls: list[str] = []

    def count(name: str) -> Callable[[Any], bool]:
        def called(_daemon: Any) -> bool:
            calls.append(name)
            return True

        return called

    for name in ("start", "stop"):
        monkeypatch.setattr(docker_daemon, name, count(name))
    return calls


def test_the_last_clone_stops_it(daemon: Any, counted: list[str], tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        docker_daemon.ensure(daemon, "started", name, str(tmp_path / name))
    assert docker_daemon.ensure(daemon, "stopped", "one", str(tmp_path / "one")) == (True, ["two"])
    assert "stop" not in counted
    assert docker_daemon.ensure(daemon, "stopped", "one", str(tmp_path / "one")) == (False, ["two"])
    assert docker_daemon.ensure(daemon, "stopped", "two", str(tmp_path / "two")) == (True, [])
    assert counted[-1] == "stop"


def test_a_clone_that_was_removed_needs_it_no_more(daemon: Any, counted: list[str], tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    docker_daemon.ensure(daemon, "started", "gone", str(tmp_path / "gone"))
    docker_daemon.ensure(daemon, "started", "here", str(tmp_path / "here"))
    docker_daemon.ensure(daemon, "stopped", "here", str(tmp_path / "here"))
    assert counted[-1] == "stop"


def test_two_clones_take_turns(daemon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[str] = []
    seen: list[int] = []

    def start(_daemon: Any) -> bool:
        inside.append("x")
        threading.Event().wait(0.2)
        seen.append(len(inside))
        inside.pop()
        return True

    monkeypatch.setattr(docker_daemon, "start", start)
    arguments = (daemon, "started", "same", str(tmp_path))
    threads = [threading.Thread(target=docker_daemon.ensure, args=arguments) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1, 1, 1]
