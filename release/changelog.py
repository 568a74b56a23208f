"""The collection's changelogs/changelog.yaml, in antsibull-changelog's format, from CHANGELOG.md.

`release/build.py` puts it into the collection, so Ansible's own tools can read what changed.
"""

from __future__ import annotations

import re
from typing import Any

CATEGORIES = {
    "Upgrading": "breaking_changes",
    "Added": "minor_changes",
    "Changed": "minor_changes",
    "Deprecated": "deprecated_features",
    "Removed": "removed_features",
    "Fixed": "bugfixes",
    "Security": "security_fixes",
}


def restructured(text: str) -> str:
    """Return a line of Markdown as reStructuredText, which antsibull-changelog expects."""
    parts = re.split(r"(\[[^]]+\]\([^)]+\)|`[^`]+`)", text)
    for number in range(1, len(parts), 2):
        link = re.fullmatch(r"\[([^]]+)\]\(([^)]+)\)", parts[number])
        if link:
            parts[number] = f"`{link[1]} <{link[2]}>`__" if link[2].startswith("http") else link[1]
        else:
            parts[number] = f"`{parts[number]}`"
        if parts[number].endswith(("`", "_")) and re.match(r"\w", parts[number + 1]):
            parts[number] += "\\ "  # markup must end at a word's end
    return "".join(parts)


def entries(section: str) -> list[str]:
    """Return the entries of a section, each as one line."""
    found: list[str] = []
    for line in section.splitlines():
        if line.startswith("- "):
            found.append(line[2:])
        elif line.startswith("  ") and found:
            found[-1] += f" {line.strip()}"
    return [restructured(entry) for entry in found]


def changelog(text: str, version: str, date: str) -> dict[str, Any]:
    """Return the whole changelog; what is unreleased becomes this version of this date (YYYY-MM-DD)."""
    releases: dict[str, Any] = {}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        named = re.match(r"\[?([^\]\s]+)\]?(?: - (\d{4}-\d\d-\d\d))?", heading)
        if not named:
            raise ValueError(f"CHANGELOG.md: this heading names no version: {heading}")
        number, day = (version, date) if named[1] == "Unreleased" else (named[1], named[2] or date)
        changes: dict[str, list[str]] = {}
        for section in re.split(r"^### ", body, flags=re.MULTILINE)[1:]:
            name, _, lines = section.partition("\n")
            if name not in CATEGORIES:
                raise ValueError(f"CHANGELOG.md: {heading}: the section {name} is none of {', '.join(CATEGORIES)}")
            changes.setdefault(CATEGORIES[name], []).extend(entries(lines))
        releases[number] = {"changes": changes, "release_date": day}
    return {"ancestor": None, "releases": releases}
