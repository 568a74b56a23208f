"""The oldest Helm that is supported, compiled here once: the chart's tests, its README, and the release module."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.release import IMAGE, Release, fresh
from tests.support import CACHE, ROOT
from tests.unit.cluster.loading import load

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it"),
]
VERSION = "v3.15.4"
SECRETS = [{"name": "one-keys", "keys": {"password": "alphanumeric"}}]


@pytest.fixture(scope="module")
def helm() -> Path:
    """The program, kept in the cache with the others that are compiled."""
    folder = CACHE / "programs" / f"helm-{VERSION}"
    if not (folder / "helm").exists():
        go = {"GOBIN": str(folder), "GOCACHE": str(CACHE / "go/build"), "GOMODCACHE": str(CACHE / "go/mod")}
        subprocess.run(
            [load("library/survey.py").go(CACHE), "install", f"helm.sh/helm/v3/cmd/helm@{VERSION}"],
            env={**os.environ, **go, "GOFLAGS": "", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"},
            check=True,
        )
    return folder / "helm"


@pytest.fixture
def release(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Release]:
    yield from fresh(tmp_path, request.node.name.removeprefix("test_"))


def test_the_chart_and_its_readme(helm: Path) -> None:
    said = ("installation_says", "notes_say", "leaves_nothing", "uninstall_and_reinstall")
    for what in (["tests/unit/chart"], ["tests/integration/test_chart.py", "-k", " or ".join(said)]):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *what],
            cwd=ROOT,
            env={**os.environ, "HELM": str(helm)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-5000:]


def test_a_release_converges_and_explains_itself(helm: Path, release: Release) -> None:
    values: dict[str, Any] = {"test": {"image": IMAGE, "command": ["true"]}, "database": {"size": "1Gi"}}
    release.params["helm"] = str(helm)
    planned = release.deploy(check=True, secrets=SECRETS, **values)
    done = release.deploy(secrets=SECRETS, **values)
    assert done.acts == planned.acts
    assert done.result["verified"]
    assert not release.deploy(secrets=SECRETS, **values).changed
    message = release.fail(mesage="x", replicas="two").message
    assert "'mesage' is not a key of the chart, did you mean 'message'?" in message
    assert "replicas: " in message
    gone = release.run(state="absent", secrets=SECRETS, delete_data=True)
    assert "delete Release/one" in gone.acts
