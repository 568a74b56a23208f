# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Restart what uses changed Secrets, and wait until no pod is left that knows the former values only."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..errors import TimedOut
from ..health import rollout
from . import restarts, rotation
from .changes import Outcome
from .manifest import annotation
from .restarts import Restart
from .secrets import RENEWED

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..kube.objects import Object
    from .comparison import Comparison
    from .session import Session

PAUSE = 0.5


def ensure_restarted(session: Session, *, check_mode: bool) -> Outcome:
    """Restart Deployments and DaemonSets with a pod that is older than a change of a Secret that they use."""
    found = [each for each in rotation.live_workloads(session) if _counts(session, each)]
    changed = {name: when for name in session.options.of_secrets if (when := _changed_at(session, name))}
    if check_mode:
        now = session.api.now().strftime(restarts.STAMP)
        changed = dict.fromkeys(changed, now) if session.options.assume_changed else changed
        return Outcome([restart.change for restart in _needed(session, found, changed)])
    lease = session.lease(of_play=True)
    goes_on = lease.is_held_by_play()
    with lease:
        session.take_over(lease)
        todo = _needed(session, found, changed)
        for restart in todo:
            lease.check()
            restarts.start(session, restart)
        for each in found:
            since = max((when for name, when in changed.items() if restarts.users([each], name)), default="")
            if since:
                rollout.wait(session, [each.item], lease.check)
                _wait_for_old_pods(session, each, since, lease.check)
        lease.stays = goes_on
    return Outcome([restart.change for restart in todo], ready=True)


def _counts(session: Session, found: Comparison) -> bool:
    """Databases take new passwords without a restart. One that stops all pods first never has old ones beside new."""
    if found.key.kind in restarts.FIRST:
        return False
    return not (session.options.rolling_only and stops_first(found.live))


def stops_first(live: Object | None) -> bool:
    """Whether all pods of a Deployment end before new ones start."""
    return ((live or {}).get("spec", {}).get("strategy") or {}).get("type") == "Recreate"


def _changed_at(session: Session, name: str) -> str:
    live = session.api.find(f"/api/v1/namespaces/{session.options.namespace}/secrets/{name}")
    return restarts.changed_at(live) if live is not None else ""


def _needed(session: Session, found: list[Comparison], changed: dict[str, str]) -> list[Restart]:
    return [each for each in restarts.needed(found, changed) if _old_pods(session, each.found, each.since)]


def _old_pods(session: Session, found: Comparison, since: str) -> list[str]:
    """Names of the pods that were there before, those that are ending among them: they still answer."""
    return [str(pod["metadata"]["name"]) for pod in restarts.pods(session, found) if is_old(pod, since)]


def is_old(pod: Object, since: str) -> bool:
    """Whether a pod may know the values of before. A second is the finest that Kubernetes tells."""
    return str(pod["metadata"].get("creationTimestamp", "")) <= since and annotation(pod, RENEWED) < since


def _wait_for_old_pods(session: Session, found: Comparison, since: str, check: Callable[[], None]) -> None:
    while old := _old_pods(session, found, since):
        check()
        session.progress.say(f"waiting for {len(old)} old pods of {found.key} to end")
        if session.remaining() <= 0:
            raise TimedOut(
                f"Pod/{old[0]} did not end within {session.options.timeout} s.",
                "Look at its events, then run it again.",
            )
        time.sleep(PAUSE)
