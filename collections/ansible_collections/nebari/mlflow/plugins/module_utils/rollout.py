# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Wait until the workloads of a release are ready, saying what each waits for and giving up when it is hopeless."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import workloads
from .exceptions import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .manifest import Object
    from .session import Session

FASTEST, SLOWEST = 0.4, 2.0  # seconds between two looks


def unready(session: Session, objects: list[Object]) -> list[tuple[Object, str]]:
    """The workloads that are not ready, live, each with its state."""
    found = []
    for item in objects:
        if item["kind"] not in workloads.WITH_PODS:
            continue
        live = session.api.find(session.discovery.path(item, session.options.namespace))
        state = "missing" if live is None else workloads.state(live)
        if state:
            found.append((live or item, state))
    return found


def wait(session: Session, objects: list[Object], check: Callable[[], None]) -> None:
    """Return when all workloads are ready; `check` raises when the deploy has lost the right to go on."""
    from .diagnose import Diagnosis  # noqa: PLC0415 (only when there is something to wait for)

    diagnosis = Diagnosis(session)
    pause = FASTEST
    started = session.progress.elapsed()
    while waiting := unready(session, objects):
        check()
        problems = diagnosis.look([live for live, _ in waiting])
        live, state = waiting[0]
        what = f"{live['kind']}/{live['metadata']['name']} {state}"
        detail = f": {problems[0].brief}" if problems else ""
        passed = session.progress.elapsed() - started
        session.progress.say(f"waiting for {what}{detail}", f"({passed:.0f} s of {session.options.timeout} s)")
        definite = next((problem for problem in problems if problem.definite), None)
        if definite is not None:
            raise definite.error()
        if session.remaining() <= 0:
            names = ", ".join(f"{item['kind']}/{item['metadata']['name']} {how}" for item, how in waiting)
            cause = f"Not ready after {session.options.timeout} s: {names}."
            if problems:
                raise ReleaseError(f"{cause} {problems[0].cause}", problems[0].fix)
            raise ReleaseError(cause, "Look at its pods and events, or give it more `timeout`.")
        time.sleep(min(pause, max(0.1, session.remaining())))
        pause = min(pause * 1.3, SLOWEST)
