"""Run the modules of the role `server` as Ansible would, on a small chart whose pods start in a second."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import ROOT, kubectl

if TYPE_CHECKING:
    from collections.abc import Iterator

CHART = ROOT / "tests/integration/charts/tiny"
IMAGE = "ghcr.io/mlflow/mlflow:v3.17.2-full"  # on the node, and has a shell
MODULE = "tests.integration.sequence"
PYTHONPATH = os.pathsep.join([str(ROOT), str(ROOT / "collections"), os.environ.get("PYTHONPATH", "")])


@dataclass
class Run:
    """One run of the module that has ended."""

    result: dict[str, Any]
    progress: list[str]
    seconds: float

    @property
    def changed(self) -> bool:
        return bool(self.result["changed"])

    @property
    def message(self) -> str:
        """Why it failed. An assertion error when it did not."""
        assert self.result.get("failed"), self.result
        return str(self.result["msg"])

    @property
    def acts(self) -> list[str]:
        """The changes, such as `create Deployment/one-web`."""
        return [f"{each['action']} {each['kind']}/{each['name']}" for each in self.result["changes"]]


@dataclass
class Release:
    """A release of the test chart in a namespace of its own; keyword arguments are parameters of the module."""

    namespace: str
    folder: Path
    name: str = "one"
    params: dict[str, Any] = field(default_factory=dict)

    def start(self, *, check: bool = False, **params: Any) -> subprocess.Popen[str]:
        arguments = {
            "name": self.name,
            "namespace": self.namespace,
            "chart": str(CHART),
            "timeout": 90,
            "_progress": str(self.progress),
            "_ansible_check_mode": check,
            **self.params,
            **params,
        }
        self.progress.write_text("")
        path = self.folder / f"arguments-{time.monotonic_ns()}.json"
        path.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
        return subprocess.Popen(
            [sys.executable, "-m", MODULE, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": PYTHONPATH},
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> Run:
        started = time.monotonic()
        stdout, stderr = process.communicate(timeout=200)
        assert stdout.strip().startswith("{"), f"{stdout}\n{stderr}"
        return Run(json.loads(stdout), self.progress.read_text().splitlines(), time.monotonic() - started)

    def run(self, *, check: bool = False, **params: Any) -> Run:
        return self.finish(self.start(check=check, **params))

    def deploy(self, *, check: bool = False, secrets: list[Any] | None = None, **values: Any) -> Run:
        """Deploy with these chart values; fail the test when that fails."""
        run = self.run(check=check, values=values, **({"secrets": secrets} if secrets else {}))
        assert not run.result.get("failed"), run.result
        return run

    def fail(self, **values: Any) -> Run:
        """Deploy with values with which it must fail."""
        run = self.run(values=values)
        assert run.result.get("failed"), run.result
        return run

    @property
    def progress(self) -> Path:
        return self.folder / "progress"

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return kubectl("-n", self.namespace, *arguments, stdin=stdin)

    def get(self, what: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", what, "-o", "json"))
        return found

    def exists(self, what: str) -> bool:
        return bool(self.kubectl("get", what, "--ignore-not-found", "-o", "name").strip())

    def versions(self) -> dict[str, str]:
        """Every object of the namespace that a deploy could write, with its resourceVersion."""
        kinds = "secret,configmap,deployment,statefulset,job,pod,persistentvolumeclaim,lease,replicaset,service"
        items = self.get(kinds)["items"]
        return {f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["resourceVersion"] for item in items}

    def revisions(self) -> dict[int, str]:
        """Helm's revisions and their statuses."""
        items = self.get("secret")["items"]
        labels = [item["metadata"]["labels"] for item in items if item["type"] == "helm.sh/release.v1"]
        return {int(label["version"]): label["status"] for label in labels}


def fresh(tmp_path: Path, test: str) -> Iterator[Release]:
    """A release in a new namespace that is removed, without waiting, when the test is over."""
    name = re.sub(r"[^a-z0-9]+", "-", test.lower()).strip("-")[:40].strip("-")
    namespace = f"rel-{name}-{os.getpid()}"
    try:
        yield Release(namespace, tmp_path)
    finally:
        kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
