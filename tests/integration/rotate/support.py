"""A deployment whose secrets are rotated while clients write, and killed while they are."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.integration.backup.support import Backed
from tests.integration.nebari.support import CLI
from tests.support import run_pod

HERE = Path(__file__).parent
WRITER, OF_MLFLOW, FORMER = (
    (HERE / name).read_text() for name in ("writer.py", "secrets_of_mlflow.py", "former_password.py")
)
ROTATION = "mlflow.nebari.dev/rotation"
PLANTED = {
    "hooks": {f"hook-{number}": f"value {number}" for number in range(3)},
    "gateway": {f"secret-{number}": {"api_key": f"value {number}"} for number in range(3)},
}


class Writer:
    """A pod that writes until it is told to stop."""

    def __init__(self, project: Rotated) -> None:
        self._project, self._said = project, ""
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self._said = run_pod(
            self._project.namespace, "writer", WRITER, timeout=1200, MLFLOW_TRACKING_URI=self._project.uri
        )

    def __enter__(self) -> Writer:
        self._thread.start()
        until(lambda: self._project.has_pod("writer"), 120)
        time.sleep(10)  # it has begun to write
        return self

    def __exit__(self, *_: object) -> None:
        self._project.kubectl("exec", "writer", "--", "touch", "/tmp/stop")  # noqa: S108
        self._thread.join(180)

    def result(self) -> dict[str, Any]:
        (line,) = [line for line in self._said.splitlines() if line.startswith("WROTE ")]
        found: dict[str, Any] = json.loads(line.removeprefix("WROTE "))
        return found


@dataclass
class Rotated(Backed):
    """One project whose servers run beside each other while they are replaced."""

    def configure_servers(self, strategy: str = "RollingUpdate") -> None:
        variables = {
            "mlflow_provider": "local",
            "mlflow_project_name": self.name,
            "mlflow_namespace": self.namespace,
            "mlflow_kubeconfig": self.kubeconfig,
            "mlflow_overrides": {"tracking": {"workers": 1, "strategy": {"type": strategy}}},
        }
        (self.folder / "vars.yml").write_text(yaml.safe_dump(variables))

    def has_pod(self, name: str) -> bool:
        phase = ("get", "pod", name, "--ignore-not-found", "-o", "jsonpath={.status.phase}")
        return self.kubectl(*phase) == "Running"

    def values(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for part in ("keys", "postgresql"):
            data = self.secret(f"{self.release}-{part}")
            found |= {f"{part}.{key}": b64decode(value).decode() for key, value in data.items()}
        return found

    def state(self, part: str = "postgresql") -> str:
        item = json.loads(self.kubectl("get", "secret", f"{self.release}-{part}", "-o", "json"))
        return str((item["metadata"].get("annotations") or {}).get(ROTATION, ""))

    def python(self, script: str, *arguments: str) -> str:
        """Run a script in the server's container."""
        server = ("exec", f"deploy/{self.release}-tracking", "-c", "tracking", "--")
        return self.kubectl(*server, "python3", "-c", script, *arguments)

    def of_mlflow(self, what: str) -> Any:
        said = self.python(OF_MLFLOW, what)
        (line,) = [line for line in said.splitlines() if line.startswith("SECRETS ")]
        return json.loads(line.removeprefix("SECRETS "))

    def old_connections(self) -> list[str]:
        """Connections of the server from before the database got the new password."""
        jobs = json.loads(self.kubectl("get", "jobs", "-l", "mlflow.nebari.dev/task=rekey", "-o", "json"))["items"]
        since = max(each["metadata"]["creationTimestamp"] for each in jobs)
        found = self.sql("SELECT backend_start AT TIME ZONE 'UTC' FROM pg_stat_activity WHERE usename = 'mlflow'")
        return [each for each in found.splitlines() if each.replace(" ", "T") < since]

    def logs_in(self, role: str, password: str) -> bool:
        """Whether PostgreSQL takes a password, asked over TCP as every client does."""
        script = f"IFS= read -r PGPASSWORD; export PGPASSWORD; psql -h 127.0.0.1 -U {role} -d mlflow -Atc 'SELECT 1'"
        pod = f"{self.release}-postgresql-0"
        command = ["kubectl", "-n", self.namespace, "exec", "-i", pod, "--", "sh", "-c", script]
        done = subprocess.run(command, input=f"{password}\n", capture_output=True, text=True, check=False)
        return done.returncode == 0

    def check(self, former: dict[str, str]) -> None:
        """Everything is new, everything opens, and nothing of the rotation is left."""
        now = self.values()
        assert now.keys() == former.keys()
        assert not set(now.values()) & set(former.values())
        assert (self.state("keys"), self.state()) == ("", "")
        for role, key in (("postgres", "postgres-password"), ("mlflow", "password")):
            assert self.logs_in(role, now[f"postgresql.{key}"])
            assert not self.logs_in(role, former[f"postgresql.{key}"])
        assert self.of_mlflow("read") == PLANTED

    def start(self) -> subprocess.Popen[str]:
        command = [CLI, "rotate", "--vars", "vars.yml"]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=self.folder, start_new_session=True, **pipes)


def until(reached: Callable[[], object], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.2)


def reach(project: Rotated, process: subprocess.Popen[str], state: str) -> None:
    """Wait until a rotation is that far: a busy machine needs minutes to replace the servers."""
    until(lambda: project.state() == state or process.poll() is not None, 600)
    assert process.poll() is None, process.communicate()[0]


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a program with all that it started, at once."""
    found = [process.pid]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.communicate()
