# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Waiting for what is only a matter of time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from ..supervise.progress import Progress

T = TypeVar("T")
LONGEST_PAUSE = 15.0  # seconds
LONGEST_WORDS = 160  # of the cloud's own answer, shown beside the wait


def until(
    call: Callable[[], T],
    again: Callable[[Exception], bool],
    progress: Progress,
    waiting_for: str,
    limit: float,
    first_pause: float = 0.5,
) -> T:
    """Repeat `call` while `again` says so of its exception, with growing pauses, for `limit` seconds."""
    started, pause = time.monotonic(), first_pause
    while True:
        try:
            return call()
        except Exception as error:
            elapsed = time.monotonic() - started
            if not again(error) or elapsed + pause > limit:
                raise
            told = " ".join(str(error).split())[:LONGEST_WORDS]
            waited = f"({elapsed:.0f} s of at most {limit:.0f} s)"
            progress.say(f"waiting for {waiting_for}", f"{waited}: {told}" if told else waited)
            time.sleep(pause * random.uniform(0.7, 1.0))  # noqa: S311 - spreads retries, keeps no secret
            pause = min(pause * 2, LONGEST_PAUSE)
