"""The site: `make docs` builds it from the Markdown pages as they are, and fails on every warning.

The source directory is the root of the repository, so that links between pages lead to the same place in the repository
and on the site. docs/index.md is the table of contents; the menu is read from its links.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from docutils.nodes import reference

ROOT = Path(__file__).parents[1]
COLLECTION = "collections/ansible_collections/nebari/mlflow"
CONTENTS = "docs/index"
TROUBLE = "docs/troubleshooting"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

project = PROJECT["name"]
release = version = PROJECT["version"]
author = "nebari-mlflow maintainers"
project_copyright = author
root_doc = CONTENTS
include_patterns = ["*.md", "docs/*.md", "docs/**/*.md", "docs/**/*.rst", f"{COLLECTION}/*.md", f"{COLLECTION}/**/*.md"]
exclude_patterns = [".*", "build", "dist"]
extensions = ["myst_parser", "sphinx_copybutton", "sphinx_antsibull_ext"]
myst_heading_anchors = 3
copybutton_prompt_text = "$ "
html_theme = "furo"
html_title = f"{project} {version}"
html_extra_path = ["site"]
html_theme_options = {
    "source_repository": PROJECT["urls"]["Source"],
    "source_branch": "main",
    "source_directory": "",
}


def menu(caption: str, pages: list[str], depth: int = 1) -> str:
    """Return a table of contents that is shown in the menu only."""
    lines = [f":caption: {caption}"] if caption else []
    lines += [":hidden:", f":maxdepth: {depth}", "", *pages]
    return "\n".join(["", "```{toctree}", *lines, "```", ""])


def sections() -> dict[str, list[str]]:
    """Return the pages that each section of docs/index.md links."""
    parts = re.split(r"^## ", (ROOT / f"{CONTENTS}.md").read_text(), flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0]: re.findall(r"\]\(([^)#]+)\.md\)", part) for part in parts}


def add_menus(_: Any, name: str, source: list[str]) -> None:
    """Add to a page the menu of the pages below it."""
    found = sections()
    codes = found.pop("Error codes")
    if name == CONTENTS:
        source[0] += "".join(menu(caption, pages) for caption, pages in found.items())
    elif name == TROUBLE:
        source[0] += menu("", codes)
    elif name == f"{COLLECTION}/README":
        roles = sorted(path.parent.name for path in (ROOT / COLLECTION).glob("roles/*/README.md"))
        source[0] += menu("", ["/docs/reference/collection/index", *(f"roles/{role}/README" for role in roles)])


ANSIBLE = "https://docs.ansible.com/projects/ansible/latest"
ANSIBLE_PAGES = {
    r"common_return_values": "reference_appendices/common_return_values.html",
    r"ansible_configuration_settings": "reference_appendices/config.html",
    r"ansible_collections\.(kubernetes|amazon|azure|google)\.(\w+)\.(\w+_module)": r"collections/\1/\2/\3.html",
}


def link_to_ansible(_: Any, __: Any, node: Any, content: Any) -> Any:
    """Lead references of the collection's pages to Ansible's own documentation, without its inventory."""
    target = node.get("reftarget", "")
    for pattern, page in ANSIBLE_PAGES.items():
        if found := re.fullmatch(pattern, target):
            return reference("", "", content, internal=False, refuri=f"{ANSIBLE}/{found.expand(page)}")
    return None


def setup(app: Any) -> None:
    """Register what Sphinx calls."""
    app.connect("source-read", add_menus)
    app.connect("missing-reference", link_to_ansible)
