"""A port of this machine that leads to the server, through kubectl."""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import names
from .errors import ClusterError, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .target import Target


@contextmanager
def forward(target: Target, port: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Yield the address and the process, which ends with the block."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise SetupError("NML306", "kubectl is not on PATH.", "Install kubectl, then run it again.")
    command = [kubectl, "--namespace", target.namespace]
    command += ["--kubeconfig", target.kubeconfig] if target.kubeconfig else []
    command += ["--context", target.context] if target.context else []
    command += ["port-forward", f"service/{names.service(target.project)}", f"{port}:{names.PORT}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        first = process.stdout.readline() if process.stdout else ""
        match = re.search(r"127\.0\.0\.1:(\d+)", first)
        if match is None:
            process.wait(10)
            said = (process.stderr.read() if process.stderr else "").strip().removeprefix("error: ")
            raise ClusterError("NML604", f"kubectl cannot reach the server: {said}.", "Look at: nebari-mlflow status")
        yield f"http://127.0.0.1:{match[1]}", process
    finally:
        process.terminate()
        process.wait()
