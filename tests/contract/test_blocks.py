"""Every block of commands is run by a test, or its page says why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.pages import SHELLS, blocks, tracked
from tests.support import ROOT


@pytest.mark.parametrize("page", tracked())
def test_every_block_is_run_or_has_a_reason(page: str, record_property: Callable[[str, object], None]) -> None:
    found = [block for block in blocks(page, (ROOT / page).read_text()) if block.language in SHELLS]
    reasons = [(block.line, why) for block in found for why in block.said.values()]
    assert not [f"{page}:{line}: {why}" for line, why in reasons if len(why.rpartition(": ")[2].split()) < 3]
    count = Counter("run" if block.is_run else "not run" for block in found)
    if found:
        record_property("row", f"{page}: {count['run']} run, {count['not run']} not")


def test_most_blocks_are_run() -> None:
    found = [block for page in tracked() for block in blocks(page, (ROOT / page).read_text())]
    commands = [block for block in found if block.language in SHELLS]
    left = [block for block in commands if not block.is_run]
    assert len(left) < len(commands) / 2, [f"{block.page}:{block.line}" for block in left]
