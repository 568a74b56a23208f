#!/usr/bin/python
"""Starts and stops a Docker daemon of the project's own, on a machine where no Docker answers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: docker_daemon
short_description: A Docker daemon of the project's own
description:
  - One daemon serves all clones on a machine, since two would flush each other's iptables chains. Each clone has a file
    under C(users); the last one to go stops the daemon.
  - A process is known as ours by its command line, which names our configuration file, and is signalled by a pidfd,
    so that a process id that was given to another program is never taken for it.
options:
  state: {choices: [started, stopped], required: true, description: Started for, or no longer needed by, this user.}
  user: {type: str, required: true, description: The name under which this clone needs the daemon.}
  checkout: {type: path, required: true, description: The clone. One that is gone needs no daemon any more.}
  data: {type: path, required: true, description: Folder for images, containers and the configuration. It stays.}
  run: {type: path, required: true, description: Folder for sockets and process ids. It goes with the daemon.}
  runtime: {type: path, description: A runtime to use instead of runc.}
author: [nebari-mlflow]
"""

EXAMPLES = """
- name: Start a Docker daemon
  docker_daemon: {state: started, user: mine, checkout: /clone, data: /cache/docker, run: /run/mine}
"""

RETURN = """
users: {returned: always, type: list, description: Programs that need the daemon now.}
"""

START = 60  # seconds until a started daemon must answer
STOP = 40  # seconds that it has to stop its containers and itself
TAIL = 8  # lines of its log that a failure shows


class DaemonError(Exception):
    """The daemon could not be started or stopped."""


@dataclass(frozen=True)
class Daemon:
    """Where the daemon keeps what."""

    data: Path
    run: Path
    runtime: Path | None = None

    @property
    def config(self) -> Path:
        """The configuration file; naming it is what makes a process ours."""
        return self.data / "daemon.json"

    @property
    def log(self) -> Path:
        """What the daemon said."""
        return self.data / "dockerd.log"

    @property
    def socket(self) -> Path:
        """The socket of its API."""
        return self.run / "docker.sock"

    def settings(self) -> dict[str, Any]:
        """Return the contents of daemon.json. No default bridge: kind makes a network, and builds need none."""
        settings: dict[str, Any] = {
            "data-root": str(self.data / "data"),
            "exec-root": str(self.run / "exec"),
            "pidfile": str(self.run / "dockerd.pid"),
            "hosts": [f"unix://{self.socket}"],
            "bridge": "none",
            "log-opts": {"max-size": "10m", "max-file": "2"},
        }
        if self.runtime:
            settings["runtimes"] = {"nebari-mlflow": {"path": str(self.runtime)}}
            settings["default-runtime"] = "nebari-mlflow"
        return settings

    def answers(self) -> bool:
        """Tell whether the daemon serves its API."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            try:
                client.connect(str(self.socket))
                client.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
                return b" 200 " in client.recv(4096).partition(b"\r\n")[0]
            except OSError:
                return False


def processes(ours: Callable[[list[str]], bool]) -> list[int]:
    """Return the ids of the processes whose command line is ours."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if ours((folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]):
                found.append(int(folder.name))
    return found


def signal_all(ours: Callable[[list[str]], bool], number: int) -> int:
    """Send a signal to each of our processes; return how many there were."""
    pids = processes(ours)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                if pid in processes(ours):
                    signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)
    return len(pids)


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; tell whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def start(daemon: Daemon) -> bool:
    """Start the daemon unless it answers; return whether it was started."""
    if daemon.answers():
        return False
    is_dockerd = dockerd(daemon)
    if processes(is_dockerd) and wait_until(daemon.answers, START):
        return False
    stop(daemon)
    daemon.data.mkdir(parents=True, exist_ok=True)
    daemon.run.mkdir(parents=True, exist_ok=True)
    daemon.config.write_text(json.dumps(daemon.settings(), indent=2))
    remember_host(daemon)
    with daemon.log.open("ab") as log:
        process = subprocess.Popen(
            ["dockerd", "--config-file", str(daemon.config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    if not wait_until(lambda: daemon.answers() or process.poll() is not None, START) or process.poll() is not None:
        tail = "\n".join(f"    {line}" for line in daemon.log.read_text(errors="replace").splitlines()[-TAIL:])
        stop(daemon)
        raise DaemonError(f"dockerd did not start. Its last lines:\n{tail}\n  All of them: {daemon.log}")
    return True


def forget_clusters(daemon: Daemon) -> None:
    """Remove the clusters of clones that are gone, and the network that kind made for them all."""
    if daemon.answers():
        docker = ["docker", "--host", f"unix://{daemon.socket}"]
        label = "label=io.x-k8s.kind.cluster"
        listed = subprocess.run([*docker, "ps", "-aq", "--filter", label], capture_output=True, text=True, check=False)
        for arguments in (["rm", "--force", "--volumes", *listed.stdout.split()], ["network", "rm", "kind"]):
            subprocess.run([*docker, *arguments], capture_output=True, check=False)


def dockerd(daemon: Daemon) -> Callable[[list[str]], bool]:
    """Return what tells our dockerd from any other process."""
    return lambda words: Path(words[0]).name == "dockerd" and str(daemon.config) in words if words else False


def children(daemon: Daemon) -> Callable[[list[str]], bool]:
    """Return what tells the processes that our dockerd starts: containerd and one shim for each container."""
    root = f"{daemon.run / 'exec'}/"
    names = ("containerd", "containerd-shim", "containerd-shim-runc-v2", "docker-proxy")
    return lambda words: (
        bool(words) and Path(words[0]).name in names and any(word.startswith(root) for word in words[1:])
    )


def stop(daemon: Daemon) -> bool:
    """Stop the daemon and all that it left, however it ended; return whether there was anything."""
    is_dockerd, is_child = dockerd(daemon), children(daemon)
    found = signal_all(is_dockerd, signal.SIGTERM) > 0
    if found and not wait_until(lambda: not processes(is_dockerd), STOP):
        signal_all(is_dockerd, signal.SIGKILL)
    found = kill_containers(daemon) or found
    found = signal_all(is_child, signal.SIGKILL) > 0 or found
    wait_until(lambda: not processes(is_child), 5)
    found = unmount(daemon) or found or daemon.run.exists()
    if found:
        restore_host(daemon)
        shutil.rmtree(daemon.run, ignore_errors=True)
    return found


def kill_containers(daemon: Daemon) -> bool:
    """Kill the containers of a daemon that was killed itself: their shims outlive it. Tell whether there were any."""
    found = False
    for file in (daemon.run / "exec").glob("containerd/daemon/io.containerd.runtime.v2.task/moby/*/init.pid"):
        with contextlib.suppress(OSError, ValueError):
            pid = int(file.read_text())
            if file.parent.name in Path(f"/proc/{pid}/cgroup").read_text():
                os.kill(pid, signal.SIGKILL)
                found = True
    return found


def unmount(daemon: Daemon) -> bool:
    """Unmount what is mounted under the daemon's folders; return whether anything was."""
    folders = (f"{daemon.data}/", f"{daemon.run}/")
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    ours = [point for point in points if point.startswith(folders)]
    for point in reversed(ours):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)
    return bool(ours)


def forward_policy() -> str:
    """Return what the host does with packets that it forwards: ACCEPT or DROP."""
    done = subprocess.run(["iptables", "-S", "FORWARD"], capture_output=True, text=True, check=False)
    policy = re.search(r"^-P FORWARD (\w+)", done.stdout, re.MULTILINE)
    return policy[1] if policy else "ACCEPT"


FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


def remember_host(daemon: Daemon) -> None:
    """Write down what dockerd will change on the host: the forwarding of packets."""
    before = {"ip_forward": FORWARDING.read_text().strip(), "policy": forward_policy()}
    (daemon.run / "host.json").write_text(json.dumps(before))


def same_network(pid: int) -> bool:
    """Tell whether a process is in this network namespace, and so uses the same iptables."""
    try:
        return Path(f"/proc/{pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink()
    except OSError:
        return False


def restore_host(daemon: Daemon) -> None:
    """Take away Docker's iptables chains, its empty cgroups and its forwarding, unless another dockerd runs."""
    if any(map(same_network, processes(lambda words: bool(words) and Path(words[0]).name == "dockerd"))):
        return
    for table in ("filter", "nat"):
        iptables = ["iptables", "-w", "-t", table]
        done = subprocess.run([*iptables, "-S"], capture_output=True, text=True, check=False)
        rules = [line.split() for line in done.stdout.splitlines()]
        jumps = [rule for rule in rules if rule[0] == "-A" and any(word.startswith("DOCKER") for word in rule[2:])]
        chains = [rule[1] for rule in rules if rule[0] == "-N" and rule[1].startswith("DOCKER")]
        for arguments in (
            *(["-D", *rule[1:]] for rule in jumps if rule[1] not in chains),
            *(["-F", chain] for chain in chains),
            *(["-X", chain] for chain in chains),
        ):
            subprocess.run([*iptables, *arguments], check=False, capture_output=True)
    for folder in Path("/sys/fs/cgroup").glob("*/docker"):
        for group, _folders, _files in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):
                Path(group).rmdir()
    with contextlib.suppress(OSError, ValueError):
        before = json.loads((daemon.run / "host.json").read_text())
        subprocess.run(["iptables", "-w", "-P", "FORWARD", before["policy"]], check=False, capture_output=True)
        FORWARDING.write_text(before["ip_forward"])


@contextlib.contextmanager
def locked(data: Path) -> Iterator[None]:
    """Let one process at a time start or stop the daemon; a killed one holds nothing."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def users(folder: Path) -> list[str]:
    """Return the clones that need the daemon, without those that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if not Path(file.read_text()).is_dir():
            file.unlink(missing_ok=True)
    return sorted(file.name for file in folder.iterdir())


def ensure(daemon: Daemon, state: str, user: str, checkout: str) -> tuple[bool, list[str]]:
    """Bring about the state for one user; return whether anything changed, and who needs the daemon now."""
    mine = daemon.data / "users" / user
    with locked(daemon.data):
        if state == "started":
            mine.parent.mkdir(exist_ok=True)
            mine.write_text(checkout)
            return start(daemon), users(mine.parent)
        left = mine.exists()
        mine.unlink(missing_ok=True)
        others = users(mine.parent)
        if others:
            return left, others
        forget_clusters(daemon)
        return stop(daemon) or left, others


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["started", "stopped"], "required": True},
            "user": {"type": "str", "required": True},
            "checkout": {"type": "path", "required": True},
            "data": {"type": "path", "required": True},
            "run": {"type": "path", "required": True},
            "runtime": {"type": "path"},
        },
    )
    given = module.params
    runtime = Path(given["runtime"]) if given["runtime"] else None
    daemon = Daemon(data=Path(given["data"]), run=Path(given["run"]), runtime=runtime)
    try:
        changed, left = ensure(daemon, given["state"], given["user"], given["checkout"])
    except (DaemonError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, users=left)


if __name__ == "__main__":
    main()
