"""A port of this machine that leads to the server, through kubectl."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .. import names
from ..errors import ClusterError, InputError, SetupError
from .cluster import not_deployed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .context import Target

PORTS = 100  # how many ports after the wanted one are tried


def free_port(wanted: int) -> int:
    """Return the first port at or after the wanted one that nobody listens on. Raises InputError if there is none."""
    for port in range(wanted, wanted + PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                continue
            return port
    raise InputError(
        "NML104", f"No port from {wanted} to {wanted + PORTS - 1} is free on 127.0.0.1.", "Give another --port."
    )


def has_screen() -> bool:
    """Whether a browser could show anything. Without a screen, xdg-open prints a page of errors about itself."""
    return sys.platform != "linux" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")))


@contextmanager
def forward(target: Target, port: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the address, and a function that waits until the connection is lost. Kubectl ends with the block.

    Raises SetupError without kubectl, ClusterError if it cannot forward.
    """
    if shutil.which("kubectl") is None:
        raise SetupError("NML306", "kubectl is not on PATH.", "Install kubectl, then run it again.")
    service, ports = f"service/{names.service(target.project)}", f"{free_port(port)}:{names.PORT}"
    command = target.kubectl("--namespace", target.namespace, "port-forward", service, ports)
    leash = [sys.executable, "-P", "-m", "nebari_mlflow.play.with_parent", str(os.getpid())]
    process = subprocess.Popen([*leash, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait() -> None:
        """Read on: kubectl says a line for each connection, and stops when nobody takes them."""
        _, said = process.communicate()
        if "(NotFound)" in said:
            raise not_deployed(target)
        raise ClusterError(
            "NML604",
            f"kubectl cannot reach the server: {said.strip().removeprefix('error: ') or 'it ended'}.",
            f"Run: {target.command('status')}",
        )

    try:
        first = process.stdout.readline() if process.stdout else ""
        match = re.search(r"127\.0\.0\.1:(\d+)", first)
        if match is None:
            process.terminate()
            wait()
        else:
            yield f"http://127.0.0.1:{match[1]}", wait
    finally:
        process.terminate()
        process.wait()
