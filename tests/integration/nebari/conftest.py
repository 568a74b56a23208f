"""The cluster that the tests of the Nebari door use, which knows Traefik's kinds, and the project that they share."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import BUILD_LOCK, CACHE, ROOT, kubectl

from .support import README, Project, project

LOCK = ROOT / "requirements/oldest.txt"
KINDS = {"ingressroutes.traefik.io", "middlewares.traefik.io"}


@pytest.fixture(scope="session", autouse=True)
def _traefik_kinds() -> None:
    if "KUBECONFIG" not in os.environ:
        pytest.fail("KUBECONFIG names no cluster; run `make edge`, or `make test`")
    names = kubectl("get", "customresourcedefinitions", "-o", "jsonpath={.items[*].metadata.name}")
    if not KINDS.issubset(names.split()):
        pytest.fail("The cluster does not know Traefik's kinds; run `make edge`, or `make test`")


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project that was deployed by `nebari deploy`, with the README's block."""
    with project(tmp_path_factory.mktemp("door"), "Door_1", "door-one") as made:
        made.configure(README["mlflow"])
        code, output = made.nebari("deploy")
        assert code == 0, output
        yield made


@pytest.fixture(scope="session")
def oldest() -> Iterator[Path]:
    """The bin folder of the oldest Nebari's environment.

    It is kept in the cache, by the lock's hash; one checkout at a time is in it.
    """
    folder = CACHE / f"oldest-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    uv = [sys.executable, "-m", "uv"]
    CACHE.mkdir(parents=True, exist_ok=True)
    into = ["--quiet", "--python", str(folder / "bin/python")]
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".done").exists():
            subprocess.run(
                [*uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)], check=True
            )
            subprocess.run([*uv, "pip", "sync", *into, str(LOCK)], check=True)
            (folder / ".done").touch()
        subprocess.run([*uv, "pip", "install", *into, "--no-deps", *BUILD_LOCK, "-e", str(ROOT)], check=True)
        yield folder / "bin"
