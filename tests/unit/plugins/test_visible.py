"""A terminal is sent no control character of a text from outside."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.progress import Progress
from ansible_collections.nebari.mlflow.plugins.module_utils.visible import visible
from hypothesis import given
from hypothesis import strategies as st

ATTACK = "e\x1b]0;TITLE\x07\x1b[2J\x9b31mFAKE\x7f\r\u202etxt"
SHOWN = "e\\x1b]0;TITLE\\x07\\x1b[2J\\x9b31mFAKE\\x7f\\x0d\\u202etxt"


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    left = visible(text)
    assert all(character in "\n\t" or character.isprintable() or ord(character) > 0x9F for character in left)
    assert visible(left) == left


@pytest.mark.parametrize(
    ("text", "shown"), [(ATTACK, SHOWN), ("a\tb\nc", "a\tb\nc"), ("a\r\nb", "a\nb"), ("größe €", "größe €")]
)
def test_control_characters_are_shown_and_all_else_stays(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_an_error_and_a_line_of_progress_hold_none(tmp_path: Path) -> None:
    error = ReleaseError(f"Pod/x failed: {ATTACK}", ATTACK)
    assert (error.cause, error.fix, str(error)) == (f"Pod/x failed: {SHOWN}", SHOWN, f"Pod/x failed: {SHOWN} {SHOWN}")
    Progress(str(tmp_path / "lines"), "demo").say(ATTACK)
    assert (tmp_path / "lines").read_text() == f"  demo: {SHOWN}\n"
