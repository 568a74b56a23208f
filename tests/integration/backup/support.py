"""A project with data in it, and a checker that reads all of them through MLflow's API."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrage
import yaml

from tests.documents import document
from tests.integration.nebari.support import CLI
from tests.support import kubectl, run_pod

HERE = Path(__file__).parent
PATIENCE = 900  # seconds; on a busy machine MLflow's import alone takes a minute
WRITER, READER = ((HERE / name).read_text() for name in ("writer.py", "reader.py"))


@dataclass
class Backed:
    """One project that the command line works on by a file of variables."""

    folder: Path
    namespace: str
    kubeconfig: str
    name: str = "kept"

    @property
    def release(self) -> str:
        return f"{self.name}-mlflow"

    @property
    def uri(self) -> str:
        return f"http://{self.release}-tracking.{self.namespace}.svc:5000"

    def configure(
        self, *, recipients: list[str] | None = None, tag: str = "", tracking: Any = None, **backup: Any
    ) -> None:
        values = {
            "tracking": {"workers": 1, **(tracking or {})},
            **({"image": {"tag": tag}} if tag else {}),
            "backup": {"recipients": recipients or [], "volume": {"create": True}, **backup},
        }
        variables = {
            "mlflow_provider": "local",
            "mlflow_project_name": self.name,
            "mlflow_namespace": self.namespace,
            "mlflow_kubeconfig": self.kubeconfig,
            "mlflow_overrides": values,
            "mlflow_timeout": 1500,
        }
        (self.folder / "vars.yml").write_text(yaml.safe_dump(variables))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `nebari-mlflow ...` to its end."""
        command = [CLI, *arguments, "--vars", "vars.yml"]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)

    def do(self, *arguments: str) -> dict[str, Any]:
        """Run a command that must succeed, and return what it prints as JSON."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return document(done.stdout[done.stdout.index("{\n") :], arguments[0])

    def refusal(self, *arguments: str) -> dict[str, Any]:
        """Run a command that must fail, and return its error."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 1, done.stdout + done.stderr
        found: dict[str, Any] = document(done.stdout[done.stdout.index("{\n") :], arguments[0])["error"]
        return found

    def write(self, name: str) -> None:
        run_pod(self.namespace, "writer", WRITER, name, timeout=PATIENCE, MLFLOW_TRACKING_URI=self.uri)

    def read(self) -> dict[str, Any]:
        """Return all that a client can read."""
        said = run_pod(self.namespace, "reader", READER, timeout=PATIENCE, MLFLOW_TRACKING_URI=self.uri)
        (line,) = [line for line in said.splitlines() if line.startswith("FOUND ")]
        found: dict[str, Any] = json.loads(line.removeprefix("FOUND "))
        return found

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return kubectl("-n", self.namespace, *arguments, stdin=stdin)

    def sql(self, statement: str) -> str:
        psql = ["psql", "-U", "postgres", "-d", "mlflow", "-Atqc", statement]
        return self.kubectl("exec", f"{self.release}-postgresql-0", "--", *psql)

    def in_server(self, script: str) -> str:
        """Run a shell command where the artifacts are mounted."""
        return self.kubectl("exec", f"deploy/{self.release}-tracking", "-c", "tracking", "--", "sh", "-c", script)

    def secret(self, name: str) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.kubectl("get", "secret", name, "-o", "json"))["data"]
        return found


def key(file: Path) -> str:
    """Write a private key as age-keygen does, and return its public key."""
    identity = pyrage.x25519.Identity.generate()
    file.write_text(f"# public key: {identity.to_public()}\n{identity}\n")
    return str(identity.to_public())
