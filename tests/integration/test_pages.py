"""Every command that the pages print is run as printed, in a fresh shell, on the cluster of `make up`.

`make test` runs README and tutorial, `make campaign` all pages. `tests/pages.py` says how a page is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.pages import blocks, fresh_shell, run, tracked
from tests.support import ROOT, kubectl

pytestmark = pytest.mark.cluster

CAMPAIGN = bool(os.environ.get("NEBARI_MLFLOW_CAMPAIGN"))
SHORT = ["README.md", "docs/tutorial.md"]
CHART = "collections/ansible_collections/nebari/mlflow/roles/server/files/mlflow"
NAMES = {"dev": "pages-dev", "mine": "pages-mine"}
"""What stands on the pages, and what the test calls it: other tests rely on the namespace `dev`."""
NAMESPACES = [*NAMES.values(), "mlflow", "team-red", "team-blue"]
VARIABLES = {
    "mlflow_provider": "local",
    "mlflow_project_name": "demo",
    "mlflow_namespace": NAMES["dev"],
    "mlflow_overrides": {
        "backup": {"volume": {"create": True}},
        "tracking": {"workers": 1, "terminationGracePeriodSeconds": 1},  # starts and stops sooner
    },
}
CONFIGURATION = {
    "project_name": "demo",
    "namespace": NAMES["dev"],
    "provider": "local",
    "domain": "nebari.example.org",
    "mlflow": {"access": {"ui": False}, "overrides": VARIABLES["mlflow_overrides"]},
}


def with_commands(page: str) -> bool:
    """Whether a page prints something that a test runs."""
    return any(block.is_run for block in blocks(page, (ROOT / page).read_text()))


CLOUDS = {f"docs/how-to/{cloud}.md" for cloud in ("aws", "azure", "gcp")}
"""Their commands meet simulated accounts in clouds/test_printed.py."""
PAGES = [page for page in tracked() if with_commands(page) and page not in CLOUDS and (CAMPAIGN or page in SHORT)]


@pytest.fixture
def _clean() -> Iterator[None]:
    """Namespaces that do not exist before the page, and are gone after it."""
    going = "jsonpath={.items[?(@.status.phase=='Terminating')].metadata.name}"
    for name in set(kubectl("get", "namespaces", "-o", going).split()) & set(NAMESPACES):
        kubectl("wait", "--for=delete", f"namespace/{name}", "--timeout=300s")
    there = kubectl("get", "namespaces", "-o", "name").split()
    assert not {f"namespace/{name}" for name in NAMESPACES} & set(there), "left by another run: delete them"
    yield
    kubectl("delete", "namespace", *NAMESPACES, "--ignore-not-found", "--wait=true", "--timeout=180s")


@pytest.fixture
def folder(tmp_path: Path, page: str) -> Path:
    """A directory that looks like the checkout, with the files of a reader who has deployed before.

    The chart's page says that its commands are run in the chart's directory.
    """
    for entry in (ROOT / CHART if page.startswith(CHART) else ROOT).iterdir():
        if entry.name not in {".git", "vars.yml", "nebari-config.yaml", ".page.sh"}:
            (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / "vars.yml").write_text(yaml.safe_dump(VARIABLES))
    (tmp_path / "nebari-config.yaml").write_text(yaml.safe_dump(CONFIGURATION))
    return tmp_path


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return fresh_shell(tmp_path_factory.mktemp("home"))


@pytest.mark.usefixtures("_clean")
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_do_what_it_says(page: str, folder: Path, shell: dict[str, str]) -> None:
    run(page, (ROOT / page).read_text(), folder, shell, NAMES, campaign=CAMPAIGN)
