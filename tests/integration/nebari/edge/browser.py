"""Headless Chromium that knows one host: the domain, at a port of this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.unit.cluster.loading import load

from .traefik import Edge

NAMES: tuple[str, ...] = load("library/survey.py").BROWSERS  # for which `make edge` looks too
PATIENCE = 30_000  # milliseconds; a page takes 2 s on an idle machine
QUIET = (
    "--no-sandbox",  # root, and machines without user namespaces, cannot have it
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def program() -> str:
    """Find the browser on PATH."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.fail("There is no Chromium on PATH: run `make edge`, which installs it or says how to.")
    return found


@contextmanager
def chromium(edge: Edge) -> Iterator[Browser]:
    """Start the browser. Any other host than the domain is unknown to it."""
    hosts = f"MAP {edge.domain}:443 127.0.0.1:{edge.port}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=[*QUIET, f"--host-resolver-rules={hosts}"])
        try:
            yield browser
        finally:
            browser.close()
