"""What holds for all tests."""

from __future__ import annotations

import pytest
from _pytest.terminal import TerminalReporter
from hypothesis import settings

settings.register_profile("any-machine", deadline=None)  # a busy one is slow at times, which is no failure
settings.load_profile("any-machine")


class Tables:
    """Print the properties named `row` of each test that has ended, by whichever process of pytest-xdist."""

    def __init__(self, reporter: TerminalReporter) -> None:
        self.reporter = reporter

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        rows = [str(value) for name, value in report.user_properties if name == "row"]
        if report.when == "call" and rows:
            self.reporter.ensure_newline()
            self.reporter.write("".join(f"{row}\n" for row in rows), flush=True)


@pytest.hookimpl(trylast=True)  # when the reporter is there
def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Tables(config.pluginmanager.getplugin("terminalreporter")))
