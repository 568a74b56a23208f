# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Run the helm program so that it never outlives this process."""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from .exceptions import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .options import Options

OLDEST = (3, 15)
SUPPORTED = "Helm 3.15 or newer, but not 4, is supported"
HISTORY = 10
PR_SET_PDEATHSIG = 1
GRACE = 20.0  # seconds that helm gets to write its record after SIGTERM
MARK = "NEBARI_MLFLOW_RELEASE"  # in helm's environment, so that a later run finds one that was left alone

if sys.platform == "linux":
    _libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    """Run in the child before exec: get SIGTERM when the thread that forked ends, kill -9 included."""
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class HelmError(ReleaseError):
    """Helm ended with an error; `output` is what it wrote."""

    def __init__(self, verb: str, output: str) -> None:
        self.output = output
        super().__init__(f"helm {verb} failed: {last_error(output)}")


def last_error(output: str) -> str:
    """Helm's message without its prefix and its warnings."""
    text = output.strip()
    _, found, message = text.rpartition("Error: ")
    lines = [line for line in (message if found else text).splitlines() if not line.startswith(("WARNING", "level="))]
    return "\n".join(lines).strip()[-1500:] or "no message"


class Helm:
    """The helm program, bound to one release."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.mark = f"{MARK}={options.namespace}/{options.name}@{options.kubeconfig}"
        self.must_stop: Callable[[], None] = lambda: None  # raises when the deploy must not go on

    def check_version(self) -> str:
        """Refuse a binary that is missing or not supported."""
        found = self._run(["version", "--template", "{{.Version}}"], what="version").strip()
        match = re.match(r"v?(\d+)\.(\d+)\.", found)
        if not match:
            raise ReleaseError(
                f"helm: {self._options.helm!r} is not Helm (it answers {found[:80]!r}).", f"{SUPPORTED}."
            )
        version = (int(match[1]), int(match[2]))
        if version < OLDEST or version[0] > OLDEST[0]:
            raise ReleaseError(
                f"helm: {self._options.helm!r} is version {found}.",
                f"{SUPPORTED}: install one, or set `helm` to its path.",
            )
        return found

    def chart_metadata(self) -> dict[str, str]:
        """Name, version and appVersion of the chart."""
        path = Path(self._options.chart)
        packed = path.is_file()
        if not packed and not (path / "Chart.yaml").is_file():
            raise ReleaseError(f"chart: {path} is not a Helm chart (it has no Chart.yaml).", "Give a chart's folder.")
        text = self._run(["show", "chart", str(path)]) if packed else (path / "Chart.yaml").read_text("utf-8")
        found = yaml.safe_load(text)
        return {name: str(found.get(name, "")) for name in ("name", "version", "appVersion")}

    def template(self) -> str:
        """Render the chart against the real cluster's version and APIs, hooks included; writes nothing."""
        command = ["template", self._options.name, self._options.chart, "--validate", "--is-upgrade"]
        return self._run([*command, "--disable-openapi-validation", "-f", "-"], values=True)

    def upgrade(self) -> None:
        """Install or upgrade without waiting: progress and diagnosis while waiting are ours."""
        command = ["upgrade", self._options.name, self._options.chart, "--install", "--reset-values"]
        self._run([*command, "--history-max", str(HISTORY), "-f", "-", "--output", "json"], values=True)

    def uninstall(self) -> None:
        self._run(["uninstall", self._options.name, "--ignore-not-found"])

    def test(self, seconds: int, poll: Callable[[], None]) -> str:
        """Run the chart's tests; `poll` is called about twice a second meanwhile and may raise."""
        return self._run(["test", self._options.name, "--logs", "--timeout", f"{seconds}s"], poll=poll)

    def _run(
        self, command: list[str], *, what: str = "", values: bool = False, poll: Callable[[], None] | None = None
    ) -> str:
        line = [self._options.helm, *command, *self._connection()]
        verb = what or command[0]
        try:
            process = subprocess.Popen(
                line,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=self._environment(),
                preexec_fn=_die_with_parent,
            )
        except FileNotFoundError as error:
            raise ReleaseError(
                f"helm: the program {self._options.helm!r} is not found.",
                f"{SUPPORTED}: install one, or set `helm` to its path.",
            ) from error
        except OSError as error:
            raise ReleaseError(
                f"helm: {self._options.helm!r} cannot be run ({error.strerror}).", "Set `helm` to a working binary."
            ) from error
        try:
            stdout, stderr = self._communicate(process, json.dumps(self._options.values) if values else "", poll)
        finally:
            stop(process)
        if process.returncode != 0:
            raise HelmError(verb, f"{stdout}\n{stderr}")
        return stdout

    def _communicate(
        self, process: subprocess.Popen[str], stdin: str, poll: Callable[[], None] | None
    ) -> tuple[str, str]:
        given: str | None = stdin
        while True:
            try:
                return process.communicate(given, timeout=0.5)
            except subprocess.TimeoutExpired:
                given = None
                self.must_stop()
                if poll is not None:
                    poll()

    def _connection(self) -> list[str]:
        options = self._options
        flags = ["--namespace", options.namespace]
        flags += ["--kubeconfig", options.kubeconfig] if options.kubeconfig else []
        return flags + (["--kube-context", options.context] if options.context else [])

    def _environment(self) -> dict[str, str]:
        """Ours without what would send Helm to another cluster or another kind of record."""
        unwanted = ("HELM_KUBE", "HELM_NAMESPACE", "HELM_DRIVER", "HELM_DEBUG")
        env = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        name, _, value = self.mark.partition("=")
        return {**env, name: value}


def stop(process: subprocess.Popen[str]) -> None:
    """End a helm that still runs, and wait for it: SIGTERM lets it write its record."""
    if process.poll() is not None:
        return
    process.terminate()
    deadline = time.monotonic() + GRACE
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    if process.poll() is None:
        process.kill()
        process.wait()
