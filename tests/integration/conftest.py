"""Which tests may run beside each other: `make test` gives those of one group to one process (pytest-xdist)."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
GROUPS = {
    "clouds": "clouds",  # one simulated account of each cloud serves them all
    "nebari/test_trouble.py": "trouble",
    "nebari/test_clouds.py": "nebari on clouds",
    "nebari": "nebari",  # one deployed project serves them all
    "test_cluster.py": "demo",  # the project that `make up` deploys
    "test_inputs.py": "demo",
    "test_playbooks.py": "demo",
    "test_use.py": "demo",
    "test_molecule.py": "",  # each scenario has a namespace of its own
}


def group(path: str, name: str) -> str:
    """The first entry that the path begins with; a file that has none is a group of its own."""
    found = next((group for prefix, group in GROUPS.items() if path.startswith(prefix)), path)
    return found or name


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in a hook of the same name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            name = group(str(item.path.relative_to(HERE)), item.nodeid)
            item.add_marker(pytest.mark.xdist_group(name))
