"""Each mistake of a page is said with file and line: a broken link, a code without a page, an option without a word.

Commands and options that do not exist are found by test_commands.py, what is printed and differs by tests/pages.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.pages import tracked

ROOT = Path(__file__).parents[2]
COLLECTION = ROOT / "collections/ansible_collections/nebari/mlflow"
ERRORS = ROOT / "docs/reference/errors"
SOURCES = [*(ROOT / "nebari_mlflow").rglob("*.py"), *(COLLECTION / "plugins").rglob("*.py")]
SPECIFICATIONS = [
    *COLLECTION.glob("roles/*/meta/argument_specs.yml"),
    COLLECTION / "roles/server/files/mlflow/values.schema.json",
]


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines outside of fenced blocks, with their numbers."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*```", line):
            fenced = not fenced
        elif not fenced:
            yield number, line


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    found = [line.lstrip("#").strip() for _, line in prose(page.read_text()) if line.startswith("#")]
    words = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in found]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in words}


def broken_links(page: Path) -> Iterator[str]:
    """Yield every link that leads to no file, or to no heading of it."""
    for number, line in prose(page.read_text()):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            name, _, anchor = target.partition("#")
            file = page.parent / name if name else page
            if target.startswith(("http://", "https://", "mailto:")):
                continue
            if not file.exists():
                yield f"{page}:{number}: there is no {target}"
            elif anchor and file.suffix == ".md" and anchor not in anchors(file):
                yield f"{page}:{number}: {name or 'the page'} has no heading {anchor}"


def codes_without_a_page(sources: Iterable[Path], pages: Path) -> Iterator[str]:
    """Yield every error code that a program knows and no page explains."""
    for path in sources:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for code in re.findall(r"\bNML\d{3}\b", line):
                if not (pages / f"{code}.md").exists():
                    yield f"{path}:{number}: {code} has no page"


def undescribed(path: Path) -> Iterator[str]:
    """Yield every option of a specification or schema that has no description."""
    root = yaml.compose(path.read_text())
    assert isinstance(root, yaml.MappingNode)
    yield from (f"{path}:{line}: {name} has no description" for line, name in _undescribed(root))


def _undescribed(node: yaml.MappingNode) -> Iterator[tuple[int, str]]:
    """Look at what stands under `options` of a specification and under `properties` of a schema."""
    for key, value in node.value:
        if not isinstance(value, yaml.MappingNode):
            continue
        if key.value in ("options", "properties"):
            for name, option in value.value:
                said = {each.value: text for each, text in option.value} if isinstance(option, yaml.MappingNode) else {}
                if not said.get("description") or not said["description"].value:
                    yield name.start_mark.line + 1, name.value
                if said:
                    yield from _undescribed(option)
        else:
            yield from _undescribed(value)


@pytest.mark.parametrize("page", tracked())
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    assert not list(broken_links(ROOT / page))


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert not list(codes_without_a_page(SOURCES, ERRORS))
    used = {code for path in SOURCES for code in re.findall(r"\bNML\d{3}\b", path.read_text())}
    assert {path.stem for path in ERRORS.iterdir()} <= used


@pytest.mark.parametrize("path", SPECIFICATIONS, ids=lambda path: path.parents[1].name)
def test_every_option_has_a_description(path: Path) -> None:
    assert not list(undescribed(path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# A\n\nSee [b](b.md).\n", "a.md:3: there is no b.md"),
        ("# A\n\n[b](#c)\n", "a.md:3: the page has no heading c"),
        ("# A\n```\n[b](b.md)\n```\n[b](other.md#nothing)\n", "a.md:5: other.md has no heading nothing"),
    ],
)
def test_a_broken_link_is_said_with_page_and_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "other.md").write_text("# Other\n\n## It works: `here`\n")
    page = tmp_path / "a.md"
    page.write_text(f"{text}[fine](other.md#it-works-here) [fine](https://example.org/x)\n")
    assert list(broken_links(page)) == [f"{tmp_path}/{said}"]


def test_a_code_without_a_page_is_located(tmp_path: Path) -> None:
    source = tmp_path / "errors.py"
    source.write_text('OLD = "NML101"\nNEW = "NML999"\n')
    assert list(codes_without_a_page([source], ERRORS)) == [f"{source}:2: NML999 has no page"]


@pytest.mark.parametrize(
    ("text", "line", "name"),
    [
        ("argument_specs:\n  main:\n    options:\n      mlflow_new:\n        type: str\n", 4, "mlflow_new"),
        (
            "argument_specs:\n  main:\n    options:\n      a:\n        description: A.\n"
            "        options:\n          b: {type: str, description: ''}\n",
            7,
            "b",
        ),
        ("properties:\n  a: {description: A.}\n  b:\n", 3, "b"),
    ],
)
def test_an_option_without_description_is_said_with_file_and_line(
    tmp_path: Path, text: str, line: int, name: str
) -> None:
    path = tmp_path / "argument_specs.yml"
    path.write_text(text)
    assert list(undescribed(path)) == [f"{path}:{line}: {name} has no description"]
