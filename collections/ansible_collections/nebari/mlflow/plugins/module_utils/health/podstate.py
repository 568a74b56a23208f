# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Read from a pod's status what keeps it from being ready."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .problems import AGAIN, IMAGE, ROOM, Problem

if TYPE_CHECKING:
    from ..kube.objects import Object

PULL = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ErrImageNeverPull", "InvalidImageName"})
CERTAIN_PULL = re.compile(r"not found|manifest unknown|denied|unauthorized|authorization failed|no such host", re.I)
CONFIG = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
MANY_RESTARTS, MANY_OOM = 4, 2


def of_pod(pod: Object) -> list[Problem]:
    """Return one pod's problems, the worst first. A pod that is merely starting gets one without a cause."""
    if pod["metadata"].get("deletionTimestamp"):
        return [Problem(_where(pod), "ending", "ending")]
    status = pod.get("status") or {}
    statuses = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    found = [problem for container in statuses if (problem := _of_container(pod, container))]
    unscheduled = _unscheduled(pod, status)
    if unscheduled:
        found.append(unscheduled)
    if status.get("phase") == "Failed" and status.get("reason"):
        cause = f"{_where(pod)} was ended: {status['reason']}, {status.get('message', '')}"
        found.append(Problem(_where(pod), "ended", str(status["reason"]), cause, f"Remove that cause; {AGAIN}."))
    return sorted(found, key=lambda problem: not problem.cause) or [
        Problem(_where(pod), "starting", _brief(pod, status))
    ]


def is_ready(pod: Object) -> bool:
    """Say if a pod's condition Ready is true."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _where(pod: Object) -> str:
    return f"Pod/{pod['metadata']['name']}"


def _brief(pod: Object, status: Object) -> str:
    """Say how far a healthy start is, as `kubectl get pods` does."""
    inits = status.get("initContainerStatuses") or []
    running = next((c["name"] for c in inits if "running" in (c.get("state") or {})), "")
    if running:
        return f"init container {running} runs"
    if status.get("phase") == "Running":
        ready = sum(bool(c.get("ready")) for c in status.get("containerStatuses") or [])
        return "ready" if is_ready(pod) else f"running, {ready}/{len(status.get('containerStatuses') or [])} ready"
    waiting = [(c.get("state") or {}).get("waiting") or {} for c in status.get("containerStatuses") or []]
    return next((str(w["reason"]) for w in waiting if w.get("reason")), str(status.get("phase") or "Pending"))


def _of_container(pod: Object, container: dict[str, Any]) -> Problem | None:
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    name, where = container["name"], _where(pod)
    if reason in PULL:
        return _pull(where, name, str(container.get("image") or ""), reason, message)
    if reason in CONFIG:
        cause = f"{where} cannot start container {name}: {message or reason}."
        fix = f"Make what it names exist, or correct the values; {AGAIN}."
        start = reason == "RunContainerError"
        kind = "start" if start else "config"
        return Problem(where, kind, f"{name}: {reason}", cause, fix, grace=15, stuck=start)
    last = (container.get("lastState") or {}).get("terminated") or {}
    ended = state.get("terminated") or (last if reason == "CrashLoopBackOff" else {})
    if ended and int(ended.get("exitCode") or 0) != 0:
        return _crash(pod, container, ended, waits=reason == "CrashLoopBackOff")
    return None


def _pull(where: str, name: str, image: str, reason: str, message: str) -> Problem:
    """A registry that is merely busy also gives ErrImagePull: only some messages are certain at once."""
    certain = reason in {"ErrImageNeverPull", "InvalidImageName"} or bool(CERTAIN_PULL.search(message))
    detail = re.sub(r"^(Back-off pulling image \S+: )?(ErrImagePull: )?(rpc error: code = \S+ desc = )?", "", message)
    return Problem(
        where,
        "pull",
        f"{name}: {reason}",
        f"{where} cannot pull image {image!r} for container {name}: {detail or reason}.",
        f"Correct the image's name and tag in the values, load it onto the nodes, or give pull credentials; {AGAIN}.",
        grace=8 if certain else 35,
        code=IMAGE,
        stuck=True,
    )


def _crash(pod: Object, container: dict[str, Any], ended: dict[str, Any], *, waits: bool) -> Problem:
    where, name = _where(pod), container["name"]
    restarts = int(container.get("restartCount") or 0)
    oom = ended.get("reason") == "OOMKilled"
    how = "ran out of memory (OOMKilled)" if oom else f"ended with exit code {ended.get('exitCode')}"
    start = ended.get("reason") in {"StartError", "ContainerCannotRun"}
    if start:
        how = f"could not be started ({ended.get('message', '')})"
    fix = "Raise its memory limit" if oom else "Correct its command" if start else "Remove the cause that its log names"
    many = restarts >= (MANY_OOM if oom else MANY_RESTARTS)
    return Problem(
        where,
        "start" if start else "crash",
        f"{name} {'crashes, waits to restart' if waits else 'ended'} (restarts: {restarts})",
        f"{where}: container {name} {how}, {restarts} restarts.",
        f"{fix}; {AGAIN}.",
        grace=15 if start else 5 if many else None,
        pod=pod["metadata"]["name"],
        log_of=name,
        stuck=waits,
    )


def _unscheduled(pod: Object, status: Object) -> Problem | None:
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            message = str(condition.get("message") or "").partition(". ")[0].rstrip(".")
            cause = f"{_where(pod)} fits on no node: {message}."
            fix = f"Add a node, or change `resources`, nodeSelector or tolerations in the values; {AGAIN}."
            return Problem(_where(pod), "schedule", f"unschedulable: {message}", cause, fix, code=ROOM)
    return None
