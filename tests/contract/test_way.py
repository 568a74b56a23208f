"""A newcomer who reads what README names, in its order, knows what a deploy does."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
COLLECTION = "collections/ansible_collections/nebari/mlflow"
VALUES = f"{COLLECTION}/roles/server/files/mlflow/values.yaml"
END = "# Rarely changed: all other values.\n"
WAY = [
    "README.md",
    "nebari_mlflow/plugin/schema.py",
    "nebari_mlflow/plugin/variables.py",
    "playbooks/mlflow.yml",
    f"{COLLECTION}/playbooks/mlflow.yml",
    f"{COLLECTION}/roles/local/tasks/main.yml",
    f"{COLLECTION}/roles/server/tasks/main.yml",
    f"{COLLECTION}/roles/server/tasks/release.yml",
    VALUES,
]


def read(path: str) -> str:
    """Return what a newcomer reads of a file: of the values, those that are not rarely changed."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return text.partition(END)[0] if path == VALUES else text


def test_readme_gives_the_newcomers_way_in_order() -> None:
    steps = re.findall(r"^\d\. .*(?:\n   .*)*", read("README.md"), re.M)
    assert ["README.md", *(link for step in steps for link in re.findall(r"\]\(([^)]+)\)", step))] == WAY


def test_newcomers_way_is_nine_files_and_600_lines() -> None:
    assert len(WAY) <= 9
    assert sum(len(read(path).splitlines()) for path in WAY) <= 600


def test_values_to_read_hold_storage_and_server() -> None:
    assert END in (ROOT / VALUES).read_text(encoding="utf-8")
    assert set(yaml.safe_load(read(VALUES))) == {"storage", "tracking"}
