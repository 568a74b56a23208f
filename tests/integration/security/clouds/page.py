"""What a page of docs/how-to prints, with its placeholders filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[4] / "docs/how-to"


def blocks(page: str, language: str, placeholders: Mapping[str, str]) -> list[str]:
    """Return the fenced blocks of a language; a placeholder that the page does not have is an error."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found: list[str] = re.findall(f"```{language}\n(.*?)```", text, re.DOTALL)
    for placeholder in placeholders:
        assert any(placeholder in block for block in found), placeholder
    return [filled(block, placeholders) for block in found]


def documents(page: str, placeholders: Mapping[str, str]) -> list[Any]:
    return [json.loads(block) for block in blocks(page, "json", placeholders)]


def filled(text: str, placeholders: Mapping[str, str]) -> str:
    for placeholder, value in placeholders.items():
        text = text.replace(placeholder, value)
    return text
