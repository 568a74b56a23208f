# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Use the release through its chart's own tests."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from ..errors import ApiError, SmokeTestFailed
from ..health import last_words
from ..health.podstate import of_pod
from ..health.problems import Patience
from .helm import HelmError, SightLost, patiently

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..health.rollout import Watch
    from .manifest import Object
    from .session import Session

SHORTEST = 60  # seconds for Helm, also when waiting has used up the timeout
LINES = 15
LOOK_EVERY = 2.0
ASK_EVERY = 10.0  # seconds between two looks at what the servers say
WAITING = "waiting for "  # how a test begins the line in which it says what it waits for
CLOCK = re.compile(r" \(\d+ s of \d+ s\)")


def seconds(session: Session) -> int:
    """What is left of the timeout, but enough for Helm to do something."""
    return max(SHORTEST, int(session.remaining()))


def heartbeat(session: Session, what: str, limit: int, look: Callable[[], str | None]) -> Callable[[], None]:
    """Return a function that calls `look` and shows for how long `what` has been going on.

    `look` may raise, or return words that are shown instead of `what`.
    """
    started = session.progress.elapsed()
    session.progress.say(what)

    def beat() -> None:
        passed = session.progress.elapsed() - started
        said = look() or what
        session.progress.say(said, f"({passed:.0f} s of {limit} s)")

    return beat


def verify(
    session: Session,
    tests: list[Object],
    objects: list[Object],
    check: Callable[[], None],
    arriving: Watch | None = None,
) -> bool:
    """Run `helm test`. Helm writes the result into the release record, where the next run finds it.

    With workloads that are `arriving` the tests wait for them, and are watched the while; return False when they gave
    that up: nothing is proved then, either way.
    """
    limit = max(seconds(session), session.options.verify_timeout)
    pods = [item["metadata"]["name"] for item in tests if item["kind"] == "Pod"]
    patience = Patience()
    looked, asked, told, words = 0.0, time.monotonic(), "", ""

    def look() -> str:
        nonlocal looked, asked, told, words
        check()
        if time.monotonic() - looked > LOOK_EVERY:
            looked = time.monotonic()
            told = (arriving.look() if arriving and not arriving.ready else "") or _look(session, pods, patience)
            if told and not (arriving and not arriving.ready) and time.monotonic() - asked > ASK_EVERY:
                asked, words = time.monotonic(), _last_words(session, objects)
        return f"{told}; {words}" if told and words else told

    try:
        beat = heartbeat(session, "using it: the chart's tests run", limit, look)
        end = time.monotonic() + limit
        patiently(lambda: _attempt(session, pods, max(SHORTEST, int(end - time.monotonic())), beat))
    except HelmError as error:
        if arriving and not arriving.ready:
            return False
        log = error.output.rpartition("POD LOGS:")[2].strip().splitlines()
        raise SmokeTestFailed(
            "The release is running, but its smoke test failed. The last lines of the test:\n"
            + "\n".join(_of_test(log)[-LINES:])
            + "\n"
            + last_words.explain(session.api, session.options.namespace, objects),
            "Fix the cause that they name; the next run repeats the test.",
        ) from error
    return True


def _of_test(log: list[str]) -> list[str]:
    """Return a test's own lines, without what Helm writes below them."""
    end = next((number for number, line in enumerate(log) if line.startswith("Error: ")), len(log))
    return [line for line in log[:end] if line.strip()]


def _last_words(session: Session, objects: list[Object]) -> str:
    """Return the last error of a server of the release, for a progress line."""
    found = last_words.of_servers(session.api, session.options.namespace, objects)
    return next((f"Pod/{pod} says: {lines[-1]}" for pod, lines in found.items()), "")


def _attempt(session: Session, pods: list[str], limit: int, beat: Callable[[], None]) -> str:
    try:
        return session.helm.test(limit, beat)
    except HelmError as error:
        phases = [_phase(pod) for pod in _find(session, pods).values()]
        if pods and phases == ["Succeeded"] * len(pods):
            raise SightLost("test", error.output) from error
        raise


def _look(session: Session, pods: list[str], patience: Patience) -> str:
    """Raise when a test's pod will never start: Helm would wait for it without a word. Return what one waits for."""
    there = _find(session, pods)
    found = [problem for pod in there.values() for problem in of_pod(pod)]
    patience.note(found)
    lasting = [problem for problem in found if patience.is_lasting(problem)]
    if lasting:
        raise lasting[0].error()
    running = [path for path, pod in there.items() if _phase(pod) == "Running"]
    return next((line for path in running if (line := _waits_for(session, f"{path}/log"))), "")


def _find(session: Session, pods: list[str]) -> dict[str, Object]:
    """Return those of the pods that exist, by their paths."""
    paths = [f"/api/v1/namespaces/{session.options.namespace}/pods/{name}" for name in pods]
    return {path: pod for path in paths if (pod := session.api.find(path))}


def _phase(pod: Object) -> str:
    return str(pod.get("status", {}).get("phase", ""))


def _waits_for(session: Session, log: str) -> str:
    """Return the last line of a test's log without its own clock, if it says what it waits for."""
    try:
        line = session.api.text(log, {"tailLines": "1"}).strip()
    except ApiError:
        return ""  # its container has not begun, or its log is not for us
    return f"using it: {CLOCK.sub('', line)}" if line.startswith(WAITING) else ""
