# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Wait until the workloads of a release are ready, saying what each waits for and giving up when it is hopeless."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..errors import ReleaseError, TimedOut
from . import workloads
from .diagnose import Diagnosis

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..kube.objects import Object
    from ..release.session import Session
    from .problems import Problem

ORDER = ("StatefulSet", "Job", "DaemonSet", "Deployment")
FASTEST, SLOWEST = 0.4, 2.0  # seconds between two looks


def unready(session: Session, objects: list[Object]) -> list[tuple[Object, str]]:
    """Return the workloads that are not ready, live, each with its state; what others wait for comes first."""
    found = []
    for item in objects:
        if item["kind"] not in workloads.WITH_PODS:
            continue
        live = session.api.find(session.discovery.path(item, session.options.namespace))
        state = "missing" if live is None else workloads.state(live)
        if state:
            found.append((live or item, state))
    return sorted(found, key=lambda waiting: ORDER.index(waiting[0]["kind"]))


class Watch:
    """The workloads of a release on their way; `ready` is what the last look found."""

    def __init__(self, session: Session, objects: list[Object]) -> None:
        self._session, self._objects = session, objects
        self._diagnosis = Diagnosis(session)
        self.ready = False

    def look(self) -> str:
        """Say what is waited for, "" when all is ready; raise when it is hopeless or too late."""
        session = self._session
        waiting = unready(session, self._objects)
        self.ready = not waiting
        if self.ready:
            return ""
        problems = self._diagnosis.look([live for live, _ in waiting if "uid" in live["metadata"]])
        first = problems[0] if problems else None
        if first is not None and self._diagnosis.patience.is_lasting(first):
            raise self._diagnosis.explained(first).error()
        if session.remaining() <= 0:
            raise _too_late(session, waiting, self._diagnosis.explained(first) if first else None)
        return _line(waiting, first)


def wait(session: Session, objects: list[Object], check: Callable[[], None]) -> None:
    """Return when all workloads are ready; `check` raises when the deploy has lost the right to go on."""
    watch = Watch(session, objects)
    pause = FASTEST
    until = session.progress.waited() + session.remaining()
    while line := watch.look():
        check()
        session.progress.say(line, f"({session.progress.waited():.0f} s of {until:.0f} s)")
        time.sleep(min(pause, max(0.1, session.remaining())))
        pause = min(pause * 1.3, SLOWEST)


def _line(waiting: list[tuple[Object, str]], problem: Problem | None) -> str:
    item, state = waiting[0]
    more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
    why = f": {problem.where} {problem.brief}" if problem else ""
    return f"waiting for {item['kind']}/{item['metadata']['name']} {state}{more}{why}"


def _too_late(session: Session, waiting: list[tuple[Object, str]], problem: Problem | None) -> ReleaseError:
    names = ", ".join(f"{item['kind']}/{item['metadata']['name']} {state}" for item, state in waiting)
    cause = f"Not ready after {session.options.timeout} s: {names}."
    if problem is None or not problem.cause:
        brief = f" {problem.where}: {problem.brief}." if problem else ""
        return TimedOut(cause + brief, "Look at its pods and events, or give it more `timeout`; then run it again.")
    return TimedOut(f"{cause} {problem.cause}", problem.fix)
