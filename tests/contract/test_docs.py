"""The documentation says what the code says, and leads somewhere."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


def test_the_page_of_variables_is_up_to_date() -> None:
    generated = runpy.run_path(str(ROOT / "docs/generate.py"))
    assert generated["PAGE"].read_text() == generated["page"](), "run: python docs/generate.py"


def test_the_page_of_commands_is_up_to_date() -> None:
    generated = runpy.run_path(str(ROOT / "docs/generate.py"))
    page = generated["commands_page"]()
    assert generated["COMMANDS"].read_text(encoding="utf-8") == page, "run: python docs/generate.py"
    assert all(f"\n## `{name}`\n" in page for name in ("plan", "backup", "restore", "destroy"))
    assert "|  |" not in page, "an option without description"


def test_the_schemas_of_json_output_are_up_to_date() -> None:
    generated = runpy.run_path(str(ROOT / "docs/generate.py"))
    found = {path: path.read_text(encoding="utf-8") for path in (ROOT / "docs/reference/json").iterdir()}
    assert found == generated["document_schemas"](), "run: python docs/generate.py"


def test_the_page_for_offline_installations_is_up_to_date() -> None:
    generated = runpy.run_path(str(ROOT / "docs/generate.py"))
    page = generated["offline_page"]()
    assert generated["OFFLINE"].read_text(encoding="utf-8") == page, "run: python docs/generate.py"
    assert all(f"| {name} |" in page for name in ("ansible", "ansible-core", "kubernetes", "boto3", "google-auth"))
    assert "| molecule |" not in page


def test_values_schema_and_readme_of_the_chart_agree() -> None:
    generated = runpy.run_path(str(ROOT / "docs/generate.py"))
    for name in ("schema", "readme"):
        file = generated[name.upper()]
        assert file.read_text(encoding="utf-8") == generated[f"chart_{name}"](), "run: python docs/generate.py"


def test_every_key_of_the_charts_values_has_a_comment() -> None:
    generated = runpy.run_path(str(ROOT / "docs/generate.py"))
    written = generated["VALUES"].read_text(encoding="utf-8")
    said = {path for path, _ in generated["comments"](yaml.compose(written), written.splitlines())}

    def commented(schema: dict[str, Any], values: dict[str, Any], path: tuple[str, ...] = ()) -> None:
        for key, value in values.items():
            assert (*path, key) in said
            if "properties" in schema["properties"][key] and not key.lower().endswith("resources"):
                commented(schema["properties"][key], value, (*path, key))

    commented(json.loads(generated["SCHEMA"].read_text(encoding="utf-8")), yaml.safe_load(written))


def test_make_help_explains_targets_and_readme_names_no_other() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    explained = set(re.findall(r"^  make (\w+) +\S", done.stdout, re.M))
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.M)
    assert explained == set(phony.split())
    assert set(re.findall(r"\bmake (\w+)", (ROOT / "README.md").read_text())) <= explained


def test_the_index_lists_every_error_page_with_its_title() -> None:
    index = (ROOT / "docs/index.md").read_text()
    listed = re.findall(r"^\| \[(NML\d+)\]\(reference/errors/\1\.md\) \| (.+) \|$", index, re.M)
    pages = sorted((ROOT / "docs/reference/errors").iterdir())
    titles = [page.read_text().partition("\n")[0] for page in pages]
    assert [f"# {code}: {title}" for code, title in listed] == titles


def test_the_index_links_every_other_page() -> None:
    index = (ROOT / "docs/index.md").read_text()
    pages = (ROOT / "docs").glob("*/*.md")
    assert {str(page.relative_to(ROOT / "docs")) for page in pages} <= set(re.findall(r"\]\(([^)]+)\)", index))


def test_the_collections_readme_lists_every_role_and_module() -> None:
    collection = ROOT / "collections/ansible_collections/nebari/mlflow"
    rows = re.findall(r"^\| ([^|]+) \|", (collection / "README.md").read_text(), re.M)
    listed = {name for row in rows for name in re.findall(r"[\[`](\w+)", row)}
    assert {role.name for role in (collection / "roles").iterdir()} <= listed
    assert {module.stem for module in (collection / "plugins/modules").glob("*.py")} <= listed
