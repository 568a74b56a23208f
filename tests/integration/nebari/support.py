"""The real `nebari` command, with our stage real and only the stages before it replaced."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support import kubectl

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
NEBARI = [str(BIN / "nebari"), "--exclude-default-stages", "--import-plugin", str(HERE / "upstream.py")]
CLI = str(BIN / "nebari-mlflow")


@dataclass(frozen=True)
class Project:
    """One project in a folder of its own, as a person has it."""

    folder: Path
    name: str
    namespace: str

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
        return {**os.environ, **given, **env}

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*NEBARI, *arguments, "--config", "nebari-config.yaml"],
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

    def mlflow(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `nebari-mlflow ...` in the project's folder."""
        return subprocess.run(
            [CLI, *arguments], cwd=self.folder, env=self.environment(**env), capture_output=True, text=True, check=False
        )


@contextmanager
def project(folder: Path, name: str, namespace: str) -> Iterator[Project]:
    """A project whose namespace goes with the test."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield Project(folder, name, namespace)
    finally:
        kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
