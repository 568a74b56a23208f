# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the probes say about a pod that runs and is not ready, and why its container was started again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..kube.times import parse_time
from .problems import AGAIN, Problem

if TYPE_CHECKING:
    from ..kube.objects import Object

STARTING = timedelta(seconds=20)  # every probe fails while a program starts
LONGEST = 200  # characters


def told(problem: Problem, pod: Object, events: list[Object], now: datetime) -> Problem:
    """Return the problem of a pod that is merely starting with what its probes said last, if it should be up by now."""
    status = pod.get("status") or {}
    if problem.kind != "starting" or status.get("phase") != "Running":
        return problem
    unready = [each for each in status.get("containerStatuses") or [] if not each.get("ready")]
    found = [text for each in unready if (text := _restarted(each))]
    failed = _last_failure(pod, events) if any(_is_late(each, now) for each in unready) else ""
    found += [failed] if failed else []
    if not found:
        return problem
    said = "; ".join(found)
    return replace(
        problem,
        brief=f"{problem.brief}: {said}",
        cause=f"{problem.where} runs but is not ready: {said}.",
        fix=f"Remove the cause that its log names; {AGAIN}.",
        pod=pod["metadata"]["name"],
        log_of=unready[0]["name"],
    )


def _restarted(container: dict[str, Any]) -> str:
    """Say how often a container that runs was started again, and how it ended before."""
    last = (container.get("lastState") or {}).get("terminated") or {}
    restarts = int(container.get("restartCount") or 0)
    if not restarts or not last:
        return ""
    reason = str(last.get("reason") or "")
    why = f" ({reason})" if reason not in ("", "Error", "Completed") else ""
    times = "once" if restarts == 1 else f"{restarts} times"
    return f"container {container['name']} restarted {times}, the last time after exit code {last.get('exitCode')}{why}"


def _is_late(container: dict[str, Any], now: datetime) -> bool:
    """Whether its program has run long enough to be up, or had been started before."""
    began = parse_time(str(((container.get("state") or {}).get("running") or {}).get("startedAt") or ""))
    return bool(container.get("restartCount")) or (began is not None and now - began >= STARTING)


def _last_failure(pod: Object, events: list[Object]) -> str:
    """Return the newest message of the kubelet about a probe; `events` are in the order of their time."""
    uid = pod["metadata"].get("uid")
    about = [
        str(event.get("message") or "")
        for event in events
        if event.get("reason") == "Unhealthy" and (event.get("involvedObject") or {}).get("uid") == uid
    ]
    return " ".join(about[-1].split())[:LONGEST].rstrip(".") if about else ""
