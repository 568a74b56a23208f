# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Show control characters instead of sending them to a terminal.

A terminal obeys them: they clear the screen, change its title and write to the clipboard. Texts of the cluster hold
what any client of it wrote.
"""

from __future__ import annotations

import re

# C0 but tab and line feed, DEL, C1, the ends of line of Unicode, and what changes the direction of reading.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return the text with each control character as its escape, such as \\x1b."""
    return CONTROL.sub(_escape, text.replace("\r\n", "\n"))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
