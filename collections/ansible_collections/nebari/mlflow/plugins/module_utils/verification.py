# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Use the release through its chart's own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .exceptions import ReleaseError
from .helm import HelmError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .session import Session

SHORTEST = 60  # seconds, also when waiting has used up the timeout


def verify(session: Session, check: Callable[[], None]) -> None:
    """Run `helm test`. Helm writes the result into the release record, where the next run finds it."""
    started = session.progress.elapsed()
    limit = max(SHORTEST, int(session.remaining()))

    def poll() -> None:
        check()
        passed = session.progress.elapsed() - started
        session.progress.say("using it: the chart's tests run", f"({passed:.0f} s of {limit} s)")

    try:
        session.helm.test(limit, poll)
    except HelmError as error:
        raise ReleaseError(
            f"The release is up but its test failed: {error.output.strip()[-1500:]}",
            "Look at the last lines above; the next run tests it again.",
        ) from error
