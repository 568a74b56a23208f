"""`make docs` in a copy of the checkout. This needs no cluster."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from .test_dist import COLLECTION, copy, run


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which `make docs` ran."""
    folder = copy(tmp_path_factory.mktemp("docs"), 0o022)
    run("make", "docs", cwd=folder, env={**os.environ})
    return folder


def test_the_site_has_every_page_and_a_search(checkout: Path) -> None:
    site = checkout / "build/site"
    pages = [path.relative_to(checkout) for path in (checkout / "docs").rglob("*.md")]
    assert len(pages) > 50
    assert all((site / page).with_suffix(".html").exists() for page in pages)
    modules = {path.stem for path in (checkout / COLLECTION / "plugins/modules").glob("*.py")}
    assert all((site / f"docs/reference/collection/{module}_module.html").exists() for module in modules)
    assert (site / "searchindex.js").exists()
    assert 'url=docs/index.html"' in (site / "index.html").read_text()


@pytest.mark.parametrize("link", ["[gone](gone.md)", "[gone](../README.md#gone)"])
def test_a_broken_link_fails_with_page_and_line(checkout: Path, link: str) -> None:
    page = checkout / "docs/how-to/nebari.md"
    before = page.read_text()
    page.write_text(f"{before}\n{link}\n")
    site = [".venv-docs/bin/sphinx-build", "-q", "-W", "--keep-going", "-c", "docs", "-d", "build/doctrees"]
    done = subprocess.run([*site, ".", "build/site"], cwd=checkout, capture_output=True, text=True, check=False)
    page.write_text(before)
    assert done.returncode != 0
    assert f"docs/how-to/nebari.md:{before.count(chr(10)) + 2}: WARNING" in done.stderr
