"""The real `nebari` command, with our stage real and only the stages before it replaced."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.documents import document
from tests.integration.clouds.play import CLEARED
from tests.support import kubectl

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
STANDING_IN = ["--exclude-default-stages", "--import-plugin", str(HERE / "upstream.py")]
CLI = str(BIN / "nebari-mlflow")
README = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", (HERE.parents[2] / "README.md").read_text(), re.S)[0])
"""The configuration that the README shows."""
ONE_WORKER = {"tracking": {"workers": 1}}
"""Helm values of a server that starts sooner."""


WARMING = threading.Lock()


@functools.cache
def warm_server() -> tuple[str, subprocess.Popen[str]]:
    """Start it; it ends with its standard input, that is with the tests. Return its socket."""
    path = str(Path(tempfile.mkdtemp()) / "socket")
    server = subprocess.Popen(
        [sys.executable, str(HERE / "warm.py"), path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    assert server.stdout.readline() == "listening\n"
    return path, server


@dataclass(frozen=True)
class Project:
    """One project in a folder of its own, as a person has it."""

    folder: Path
    name: str
    namespace: str
    command: tuple[str, ...] = (str(BIN / "nebari"), *STANDING_IN)
    env: Mapping[str, str] = field(default_factory=dict)  # of every command

    @property
    def release(self) -> str:
        return f"{self.name.lower().replace('_', '-')}-mlflow"

    def configure(self, block: Any, **more: Any) -> None:
        """Write nebari-config.yaml."""
        config = {
            "project_name": self.name,
            "namespace": self.namespace,
            "provider": "local",
            "domain": "nebari.example.org",
            **more,
            "mlflow": block,
        }
        (self.folder / "nebari-config.yaml").write_text(yaml.safe_dump(config))

    def environment(self, **env: str) -> dict[str, str]:
        given = {"UPSTREAM_KUBECONFIG": os.environ["KUBECONFIG"], "XDG_STATE_HOME": str(self.folder / "state")}
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(CLEARED)}
        return {**inherited, **given, **self.env, **env}

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.command, *arguments, "--config", "nebari-config.yaml"],
            cwd=self.folder,
            env=self.environment(**env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def nebari(self, *arguments: str, **env: str) -> tuple[int, str]:
        """Run `nebari ... --config nebari-config.yaml` to its end; return exit code and what it printed."""
        process = self.start(*arguments, **env)
        output, _ = process.communicate()
        return process.returncode, output

    def quick(self, *arguments: str, **env: str) -> tuple[int, str]:
        """As `nebari`, from a process that has imported Nebari already."""
        main = "from nebari.__main__ import main; main()"
        return self.warm(main, "nebari", *STANDING_IN, *arguments, "--config", "nebari-config.yaml", **env)

    def warm(self, code: str, *argv: str, **env: str) -> tuple[int, str]:
        """Run Python that needs Nebari; return exit code and what it printed."""
        with WARMING:
            path, _ = warm_server()
        output = self.folder / f"output-{uuid.uuid4().hex[:8]}"
        request = {
            "code": code,
            "argv": argv,
            "cwd": str(self.folder),
            "env": self.environment(**env),
            "output": str(output),
        }
        with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rw") as stream:
            connection.connect(path)
            stream.write(json.dumps(request) + "\n")
            stream.flush()
            return int(stream.readline()), output.read_text()

    def by(self, bin_folder: Path) -> Project:
        """This project, by the Nebari of another environment."""
        return dataclasses.replace(self, command=(str(bin_folder / "python"), str(HERE / "preloaded.py")))

    def mlflow(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `nebari-mlflow ...` in the project's folder. What it prints as JSON must be as its schema says."""
        done = subprocess.run(
            [CLI, *arguments], cwd=self.folder, env=self.environment(**env), capture_output=True, text=True, check=False
        )
        if "--json" in arguments:
            document(done.stdout, arguments[0])
        return done


@contextmanager
def project(folder: Path, name: str, namespace: str) -> Iterator[Project]:
    """A project whose namespace goes with the test."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield Project(folder, name, namespace)
    finally:
        kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
