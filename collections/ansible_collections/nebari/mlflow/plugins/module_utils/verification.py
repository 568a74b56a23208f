# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Use the release through its chart's own tests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .exceptions import ReleaseError
from .helm import HelmError, patiently
from .podstate import of_pod
from .problems import Patience

if TYPE_CHECKING:
    from collections.abc import Callable

    from .manifest import Object
    from .session import Session

SHORTEST = 60  # seconds for Helm, also when waiting has used up the timeout
LINES = 15
LOOK_EVERY = 2.0


def seconds(session: Session) -> int:
    """What is left of the timeout, but enough for Helm to do something."""
    return max(SHORTEST, int(session.remaining()))


def heartbeat(session: Session, what: str, limit: int, look: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls `look`, which may raise, and shows `what` and how long it has been going on."""
    started = session.progress.elapsed()
    session.progress.say(what)

    def beat() -> None:
        passed = session.progress.elapsed() - started
        look()
        session.progress.say(what, f"({passed:.0f} s of {limit} s)")

    return beat


def verify(session: Session, tests: list[Object], check: Callable[[], None]) -> None:
    """Run `helm test`. Helm writes the result into the release record, where the next run finds it."""
    limit = seconds(session)
    pods = [item["metadata"]["name"] for item in tests if item["kind"] == "Pod"]
    patience = Patience()
    looked = 0.0

    def look() -> None:
        nonlocal looked
        check()
        if time.monotonic() - looked > LOOK_EVERY:
            looked = time.monotonic()
            _look(session, pods, patience)

    try:
        beat = heartbeat(session, "using it: the chart's tests run", limit, look)
        patiently(lambda: session.helm.test(limit, beat))
    except HelmError as error:
        log = error.output.rpartition("POD LOGS:")[2].strip().splitlines()
        raise ReleaseError(
            "The release is up, but using it failed. The last lines of its test:\n" + "\n".join(log[-LINES:]) + "\n",
            "Remove the cause that they name; the next run tests it again.",
        ) from error


def _look(session: Session, pods: list[str], patience: Patience) -> None:
    """Raise when a test's pod will never start: Helm would wait for it without a word."""
    folder = f"/api/v1/namespaces/{session.options.namespace}/pods"
    found = [problem for name in pods if (pod := session.api.find(f"{folder}/{name}")) for problem in of_pod(pod)]
    patience.note(found)
    lasting = [problem for problem in found if patience.is_lasting(problem)]
    if lasting:
        raise lasting[0].error()
