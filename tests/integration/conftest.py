"""Which tests may run beside each other: `make test` gives those of one group to one process (pytest-xdist)."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
GROUPS = {
    "nebari/test_clouds.py": "nebari on clouds",
    "nebari/test_trouble.py": "trouble",
    "identity": "identity",  # one deployment with its people serves them all
    "nebari": "nebari",  # one deployed project serves them all
    "test_cluster.py": "demo",  # the project that `make up` deploys
    "test_playbooks.py": "demo",
    "test_shell.py": "demo",
    "test_use.py": "demo",
    "test_pages.py": "pages",  # its pages use the same namespaces
    "test_molecule.py": "",  # each scenario has a namespace of its own
    "security/clouds": "clouds",
    "backup/test_upgrade.py": "upgrade",
    "backup": "backup",  # one deployed project with backups serves them all
    "rotate": "rotate",  # one deployed project serves them all
    "clouds": "clouds",  # one simulated account of each cloud serves them all
}
# The order in which groups begin: the long ones, and beside them what waits much and computes little. The others come
# last, so they have to be short. The summary of a run says how long each one took, and from when to when.
ORDER = [
    "nebari on clouds",
    "nebari",
    "security/test_data.py",
    "clouds",
    "identity",
    "pages",
    "rotate",
    "security/test_database.py",
    "test_outside_database.py",
    "test_release_recovery.py",
    "test_release_faults.py",
    "demo",
    "test_molecule.py",
    "security/test_server.py",
    "test_chart.py",
    "test_monitoring.py",
    "test_network.py",
    "backup",
    "upgrade",
    "opinions/test_opinions.py",
    "test_takeover.py",
    "test_release_converge.py",
    "test_release_refusals.py",
    "trouble",
    "test_inputs.py",
]
TIMES: dict[str, list[tuple[float, float]]] = defaultdict(list)


def group(path: str, name: str) -> str:
    """The first entry that the path begins with; a file that has none is a group of its own."""
    found = next((group for prefix, group in GROUPS.items() if path.startswith(prefix)), path)
    return found or name


def place(item: pytest.Item) -> int:
    """Its group's place in the order; others of the integration tests come last, and other tests first."""
    if not item.path.is_relative_to(HERE):
        return -1
    path = str(item.path.relative_to(HERE))
    return next((n for n, each in enumerate(ORDER) if each in (path, group(path, ""))), len(ORDER))


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in a hook of the same name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            name = group(str(item.path.relative_to(HERE)), item.nodeid)
            item.add_marker(pytest.mark.xdist_group(name))
    items.sort(key=place)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note when a step of a test began and ended."""
    name = report.nodeid.rpartition("@")[2] if "@" in report.nodeid else report.nodeid.partition("::")[0]
    if report.start:  # a process that crashed has none
        TIMES[name].append((report.start, report.stop))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show what decides how long a run takes: the time of each group, and how full the processes are at the end."""
    if len(TIMES) < 2:
        return
    first = min(start for times in TIMES.values() for start, _ in times)
    terminalreporter.section("groups, by their beginning")
    for name, times in sorted(TIMES.items(), key=lambda each: min(each[1])):
        began, ended = min(times)[0] - first, max(stop for _, stop in times) - first
        busy = sum(stop - start for start, stop in times)
        terminalreporter.write_line(f"{busy:6.0f} s, from {began:5.0f} to {ended:5.0f}: {name}")
