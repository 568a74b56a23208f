"""CHANGELOG.md becomes the changelog that Ansible's tools read."""

from __future__ import annotations

import re

import pytest

from release.changelog import changelog
from tests.support import ROOT

TEXT = """# Changelog

## [Unreleased]

### Added

- One thing with `code` and a [page](docs/x.md),
  on two lines.

### Changed

- Another, see [there](https://example.org/a_b).

### Upgrading

Text in between.

- Do this.

## [0.1.0] - 2026-01-02

### Fixed

- `<a>`s bug and `b c`.
"""


def test_sections_become_categories_and_entries_one_line() -> None:
    assert changelog(TEXT, "0.2.0", "2026-03-04") == {
        "ancestor": None,
        "releases": {
            "0.2.0": {
                "changes": {
                    "minor_changes": [
                        "One thing with ``code`` and a page, on two lines.",
                        "Another, see `there <https://example.org/a_b>`__.",
                    ],
                    "breaking_changes": ["Do this."],
                },
                "release_date": "2026-03-04",
            },
            "0.1.0": {"changes": {"bugfixes": ["``<a>``\\ s bug and ``b c``."]}, "release_date": "2026-01-02"},
        },
    }


def test_a_section_of_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Unreleased.*the section News is none of"):
        changelog(TEXT.replace("### Added", "### News"), "0.2.0", "2026-03-04")


def test_every_entry_of_the_changelog_is_in_it() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    releases = changelog(text, "9.9.9", "2026-03-04")["releases"].values()
    count = sum(len(found) for release in releases for found in release["changes"].values())
    assert count == len(re.findall(r"^- ", text, re.M)) > 20
