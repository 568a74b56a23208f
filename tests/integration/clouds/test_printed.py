"""The playbooks that the pages about clouds print, run as printed against the simulated accounts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.pages import fresh_shell, run
from tests.support import ROOT

from .azure_lab import RESOURCE_GROUP, SUBSCRIPTION
from .lab import Lab

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it"),
]
NAMES = {
    "dev": "pages-clouds",
    "00000000-0000-0000-0000-000000000000": SUBSCRIPTION,
    "mlflow_azure_resource_group=demo-mlflow": f"mlflow_azure_resource_group={RESOURCE_GROUP}",
}
"""What stands on the pages, and what the simulated accounts have instead."""


def test_the_playbooks_of_a_page_work_on_the_account(lab: Lab, tmp_path: Path) -> None:
    page = f"docs/how-to/{lab.provider}.md"
    shell = fresh_shell(tmp_path) | lab.environment()
    printed = run(page, (ROOT / page).read_text(), tmp_path, shell, NAMES, campaign=True)
    assert lab.cloud.writes() == [], "a check, and a removal of what is not there"
    assert "MLflow" in printed
