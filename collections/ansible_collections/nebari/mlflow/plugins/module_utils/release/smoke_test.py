# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Use the release through its chart's own tests."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from ..errors import ApiError, ReleaseError, SmokeTestFailed
from ..health import last_words, sidecars
from ..health.podstate import of_pod
from ..health.problems import Patience, creation
from .helm import HelmError, SightLost, last_error, patiently

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..health.rollout import Watch
    from ..kube.api import Api
    from ..kube.objects import Object
    from .session import Session

SHORTEST = 60  # seconds for Helm, also when waiting has used up the timeout
LINES = 15
LOOK_EVERY = 2.0  # seconds
ASK_EVERY = 10.0  # seconds between two looks at what the servers say
WAITING = "waiting for "  # how a test begins the line in which it says what it waits for
REFUSED = re.compile(r"is forbidden|denied|is invalid|exceeded quota", re.I)  # by the API server, not by a lost answer
CLOCK = re.compile(r" \(\d+ s of \d+ s\)")


def seconds(session: Session) -> int:
    """Return the seconds left of the timeout, and at least what Helm needs to do something."""
    return max(SHORTEST, int(session.remaining()))


def heartbeat(session: Session, what: str, limit: int, look: Callable[[], str | None]) -> Callable[[], None]:
    """Return a function that calls `look` and shows for how long `what` has been going on.

    `look` may raise, or return words that are shown instead of `what`.
    """
    until = session.progress.waited() + limit
    session.progress.say(what)

    def beat() -> None:
        said = look() or what
        session.progress.say(said, f"({session.progress.waited():.0f} s of {until:.0f} s)")

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
    that up: nothing is proved then, either way. Raises ReleaseError if a test failed.
    """
    limit = max(seconds(session), session.options.verify_timeout)
    pods = Pods(session.api, session.options.namespace, tests)
    patience = Patience()
    looked, asked, told, words = 0.0, time.monotonic(), "", ""

    def look() -> str:
        nonlocal looked, asked, told, words
        check()
        if time.monotonic() - looked > LOOK_EVERY:
            looked = time.monotonic()
            told = (arriving.look() if arriving and not arriving.ready else "") or _look(pods, patience)
            if told and not (arriving and not arriving.ready) and time.monotonic() - asked > ASK_EVERY:
                asked, words = time.monotonic(), _last_words(session, objects)
        return f"{told}; {words}" if told and words else told

    try:
        beat = heartbeat(session, "running the smoke test", limit, look)
        end = time.monotonic() + limit
        patiently(lambda: _attempt(session, pods, end, beat))
    except HelmError as error:
        if arriving and not arriving.ready:
            return False
        raise failure(pods, objects, error) from error
    return True


def _last_words(session: Session, objects: list[Object]) -> str:
    """Return the last error of a server of the release, for a progress line."""
    found = last_words.of_servers(session.api, session.options.namespace, objects)
    return next((f"Pod/{pod} says: {lines[-1]}" for pod, lines in found.items()), "")


class Pods:
    """The pods of a chart's tests."""

    def __init__(self, api: Api, namespace: str, tests: list[Object]) -> None:
        self.api, self.namespace = api, namespace
        found = [item for item in tests if item["kind"] == "Pod"]
        self.containers = {
            f"/api/v1/namespaces/{namespace}/pods/{item['metadata']['name']}": [
                str(container["name"]) for container in item["spec"].get("containers", [])
            ]
            for item in found
        }  # of the chart, by the pod's path; a cluster may add others

    def find(self) -> dict[str, Object]:
        """Return those that exist, by their paths."""
        return {path: pod for path in self.containers if (pod := self.api.find(path))}

    def log(self, path: str, lines: int) -> list[str]:
        """Return the last lines that the chart's own container wrote."""
        query = {"tailLines": lines, "container": self.containers[path][0]}
        try:
            return self.api.text(f"{path}/log", query).strip().splitlines()
        except ApiError:
            return []  # its container has not begun, or its log is not for us


def failure(pods: Pods, objects: list[Object], error: HelmError) -> ReleaseError:
    """Say why the tests failed: the log of their pods and what the servers said, or why a pod was never created."""
    there = pods.find()
    said = last_error(error.output)
    for path in pods.containers:
        if path not in there and REFUSED.search(said):
            found = creation(f"Pod/{path.rpartition('/')[2]}", said)
            return SmokeTestFailed(f"The release is running, but its smoke test cannot start. {found.cause}", found.fix)
    log = [line for path in there for line in pods.log(path, LINES)]
    return SmokeTestFailed(
        "The release is running, but its smoke test failed. "
        + ("The last lines of the test:\n" + "\n".join(log[-LINES:]) + "\n" if log else f"Helm says: {said}.\n")
        + last_words.explain(pods.api, pods.namespace, objects),
        "Fix the cause that they name; the next run repeats the test.",
    )


def _attempt(session: Session, pods: Pods, end: float, beat: Callable[[], None]) -> str:
    try:
        return session.helm.test(max(SHORTEST, int(end - time.monotonic())), beat)
    except HelmError as error:
        phases = [_phase(pod) for pod in pods.find().values()]
        if phases and len(phases) == len(pods.containers) and is_unseen(phases, time.monotonic() >= end):
            raise SightLost("test", error.output) from error
        raise


def is_unseen(phases: list[str], is_late: bool) -> bool:
    """Say if Helm gave up on pods that have succeeded, or that go on and have time left."""
    going = {"Pending", "Running"} if not is_late else set()
    return all(phase in {"Succeeded", *going} for phase in phases)


def _look(pods: Pods, patience: Patience) -> str:
    """Return what a test waits for. Raise when its pod will never start or end: Helm would wait without a word."""
    there = pods.find()
    found = [problem for pod in there.values() for problem in of_pod(pod)]
    kept = [sidecars.of_pod(pod, pods.containers[path]) for path, pod in there.items()]
    found += [problem for problem in kept if problem]
    patience.note(found)
    lasting = [problem for problem in found if patience.is_lasting(problem)]
    if lasting:
        raise lasting[0].error()
    running = [path for path, pod in there.items() if _phase(pod) == "Running"]
    return next((line for path in running if (line := _waits_for(pods.log(path, 1)))), "")


def _phase(pod: Object) -> str:
    return str(pod.get("status", {}).get("phase", ""))


def _waits_for(log: list[str]) -> str:
    """Return the last line of a test's log without its own clock, if it says what it waits for."""
    line = log[-1] if log else ""
    return f"running the smoke test: {CLOCK.sub('', line)}" if line.startswith(WAITING) else ""
