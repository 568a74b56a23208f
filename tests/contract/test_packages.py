"""The packages of the collection's library stand on each other in one order."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

LIBRARY = Path(__file__).parents[2] / "collections/ansible_collections/nebari/mlflow/plugins/module_utils"
PACKAGES = {path.parent.name for path in LIBRARY.glob("*/*.py")}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the packages beside its own that a module imports when it runs; those of annotations do not count."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.ImportFrom) and node.level == 2:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from (name.partition(".")[0] for name in names)
        yield from imported(node)


def test_packages_of_the_library_import_in_one_order() -> None:
    below = {
        package: {
            found
            for path in (LIBRARY / package).rglob("*.py")
            for found in imported(ast.parse(path.read_text(encoding="utf-8")))
        }
        & PACKAGES - {package}
        for package in PACKAGES
    }
    order = list(TopologicalSorter(below).static_order())  # a circle raises CycleError, with its packages
    assert order.index("kube") < order.index("health") < order.index("release")
