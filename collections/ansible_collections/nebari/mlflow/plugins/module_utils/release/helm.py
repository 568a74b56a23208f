# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The helm program, as far as a deploy needs it."""

from __future__ import annotations

import json
import os
import random
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ..errors import HelmUnusable, ReleaseError
from ..supervise.program import Program

if TYPE_CHECKING:
    from collections.abc import Callable

    from .options import Options

OLDEST = (3, 15)
SUPPORTED = "Helm 3.15 or newer, but not 4, is supported"
HISTORY = 10
PAUSES = (1.0, 3.0, 8.0)  # seconds before the second, third and fourth attempt
TRANSIENT = re.compile(
    r"connection (reset|refused)|\bEOF\b|broken pipe|i/o timeout|TLS handshake timeout|http2: |GOAWAY|"
    r"etcdserver: |raft proposal dropped|too many requests|the server is currently unable to handle|"
    r"server has received too many|context deadline exceeded|cluster unreachable|"
    # Helm lost sight of a test's pod; a quota counts what has ended for a moment longer.
    r"watch closed before|exceeded quota",
    re.I,
)
MARK = "NEBARI_MLFLOW_RELEASE"  # in helm's environment, so that a later run finds one that was left alone


class HelmError(ReleaseError):
    """Helm ended with an error; `output` is what it wrote."""

    def __init__(self, verb: str, output: str) -> None:
        self.output = output
        super().__init__(f"helm {verb} failed: {last_error(output)}")

    @property
    def transient(self) -> bool:
        """Say if the API server or the way to it failed, and not what was asked of it."""
        return bool(TRANSIENT.search(last_error(self.output)))


class SightLost(HelmError):
    """Helm did not see how the pods of a test went on: its watch had broken."""

    @property
    def transient(self) -> bool:
        """Say that the test may simply be run again."""
        return True


def patiently(act: Callable[[], str], between: Callable[[], object] = lambda: None) -> str:
    """Run Helm again when it failed for a passing reason: by itself it retries only two of them, and once.

    `between` is called before each further attempt, to make one possible.
    """
    for pause in PAUSES:
        try:
            return act()
        except HelmError as error:
            if not error.transient:
                raise
        time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 (jitter)
        between()
    return act()


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
        self.mark = f"{MARK}={options.namespace}/{options.name}"
        self._version: Program | None = None
        self._template: Program | None = None
        self._chart: dict[str, Any] = {}
        self.must_stop: Callable[[], None] = lambda: None  # raises when the deploy must not go on

    def begin(self) -> None:
        """Start what is needed in any case, to run while this process is still connecting."""
        self._version = self._start(["version", "--template", "{{.Version}}"])
        if self._options.state in ("present", "planned") or (
            self._options.state == "examined" and self._options.values
        ):
            self._template = self._start_template()

    def give(self, options: Options) -> None:
        """Use other values than those that were given at the start."""
        self._options = options
        if self._template is not None:
            self._template.stop()
            self._template = self._start_template()

    def check_version(self) -> str:
        """Refuse a binary that is not supported."""
        program = self._version or self._start(["version", "--template", "{{.Version}}"])
        self._version = None
        found = self._end("version", program).strip()
        match = re.match(r"v?(\d+)\.(\d+)(?!\d)", found)  # one that was built by `go install` says only v3.15
        if not match:
            raise HelmUnusable(
                f"helm: {self._options.helm!r} is not Helm (it answers {found[:80]!r}).", f"{SUPPORTED}."
            )
        version = (int(match[1]), int(match[2]))
        if version < OLDEST or version[0] > OLDEST[0]:
            raise HelmUnusable(
                f"helm: {self._options.helm!r} is version {found}.",
                f"{SUPPORTED}: install one, or set `helm` to its path.",
            )
        return found

    def chart_metadata(self) -> dict[str, Any]:
        """Return the content of the chart's Chart.yaml."""
        self._chart = self._chart or self._read_chart()
        return self._chart

    def _read_chart(self) -> dict[str, Any]:
        path = Path(self._options.chart)
        packed = path.is_file()
        if not packed and not (path / "Chart.yaml").is_file():
            raise HelmUnusable(f"chart: {path} is not a Helm chart (it has no Chart.yaml).", "Give a chart's folder.")
        text = self._run(["show", "chart", str(path)]) if packed else (path / "Chart.yaml").read_text("utf-8")
        found: dict[str, Any] = yaml.safe_load(text)
        return found

    def template(self) -> str:
        """Render the chart against the real cluster's version and APIs, hooks included; writes nothing."""
        program, self._template = self._template or self._start_template(), None
        return self._end("template", program)

    def stop(self) -> None:
        """End what was started early and not asked for."""
        for program in (self._version, self._template):
            if program is not None:
                program.stop()

    def upgrade(self, seconds: int, poll: Callable[[], None]) -> str:
        """Install or upgrade without waiting for pods: progress and diagnosis are ours. Hooks are waited for."""
        command = ["upgrade", self._options.name, self._options.chart, "--install", "--reset-values"]
        limits = ["--history-max", str(HISTORY), "--timeout", f"{seconds}s"]
        return self._run([*command, *limits, "-f", "-"], values=True, poll=poll)

    def rollback(self, revision: int, seconds: int, poll: Callable[[], None]) -> str:
        """Make an earlier revision the newest one, without waiting for pods."""
        command = ["rollback", self._options.name, str(revision)]
        return self._run([*command, "--history-max", str(HISTORY), "--timeout", f"{seconds}s"], poll=poll)

    def test(self, seconds: int, poll: Callable[[], None]) -> str:
        """Run the chart's tests; `poll` is called about twice a second meanwhile and may raise.

        Without `--logs`: for a pod that does not exist, or has a sidecar, that hides Helm's own error.
        """
        return self._run(["test", self._options.name, "--timeout", f"{seconds}s"], poll=poll)

    def _start_template(self) -> Program:
        command = ["template", self._options.name, self._options.chart, "--validate", "--is-upgrade"]
        return self._start([*command, "--disable-openapi-validation", "-f", "-"], values=True)

    def _run(self, command: list[str], *, values: bool = False, poll: Callable[[], None] = lambda: None) -> str:
        return self._end(command[0], self._start(command, values=values), poll)

    def _start(self, command: list[str], *, values: bool = False) -> Program:
        line = [self._options.helm, *command, *self._connection()]
        try:
            return Program(line, self._environment(), json.dumps(self._options.values) if values else "")
        except FileNotFoundError as error:
            raise HelmUnusable(
                f"helm: the program {self._options.helm!r} is not found.",
                f"{SUPPORTED}: install one, or set `helm` to its path.",
            ) from error
        except OSError as error:
            raise HelmUnusable(
                f"helm: {self._options.helm!r} cannot be run ({error.strerror}).", "Set `helm` to a working binary."
            ) from error

    def _end(self, verb: str, program: Program, poll: Callable[[], None] = lambda: None) -> str:
        def check() -> None:
            self.must_stop()
            poll()

        code, stdout, stderr = program.finish(check)
        if code != 0:
            raise HelmError(verb, f"{stdout}\n{stderr}")
        return stdout

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
