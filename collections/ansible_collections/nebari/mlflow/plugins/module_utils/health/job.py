# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Wait for one Job, show what its pod says meanwhile, and return what it left as its termination message."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from ..errors import ApiError, JobFailed, ReleaseError, TimedOut, UpgradeFailed
from . import mounts
from .podstate import of_pod
from .problems import Patience, creation

if TYPE_CHECKING:
    from ..kube.api import Api, Json
    from ..supervise.progress import Progress
    from .problems import Problem

PAUSE = 1.0  # seconds
LINES = 10
ENDED = ("Succeeded", "Failed")


def follow(api: Api, namespace: str, name: str, container: str, progress: Progress, timeout: float) -> Json:
    """Return the result of a Job once it is complete.

    Raises:
        JobFailed: It failed; the cause is its own.
        NeverReady: Its pod will not start.
        TimedOut: It still runs, and goes on.
    """
    patience, end = Patience(), time.monotonic() + timeout
    while True:
        job = api.request("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}")
        pods = pods_of(api, namespace, name)
        conditions = {c["type"]: c for c in job["status"].get("conditions") or [] if c["status"] == "True"}
        if "Failed" in conditions:
            raise failure(api, name, conditions["Failed"], pods, container)
        if "Complete" in conditions or _is_done(job, pods):
            return said(api, pods, container) or result(pods, container)
        problems = _problems(api, job, [pod for pod in pods if not _has_ended(pod)])
        patience.note(problems)
        for problem in problems:
            if patience.is_lasting(problem):
                raise problem.error()
        if time.monotonic() > end:
            raise TimedOut(
                f"Job/{name} did not end within {timeout:.0f} s. It goes on.",
                f"Follow it: kubectl -n {namespace} logs -f job/{name} -c {container}",
            )
        told = "; ".join(f"{problem.where} {problem.brief}" for problem in problems[:1])
        progress.say(_said(api, pods, container) or told or "waiting for the pod")
        time.sleep(PAUSE)


def _problems(api: Api, job: Json, pods: list[Json]) -> list[Problem]:
    """Return what keeps the pods from starting, or the Job from creating one."""
    found = [problem for pod in pods for problem in of_pod(pod) if problem.cause]
    if pods and all((pod.get("status") or {}).get("phase") != "Pending" for pod in pods):
        return found
    namespace, uid = job["metadata"]["namespace"], job["metadata"]["uid"]
    try:
        query = {"fieldSelector": "type=Warning", "limit": 500}
        events = api.request("GET", f"/api/v1/namespaces/{namespace}/events", query=query)["items"]
    except ApiError:
        return found
    found += [problem for pod in pods if (problem := mounts.of_pod(pod, events))]
    refused = [e for e in events if e.get("reason") == "FailedCreate" and e["involvedObject"].get("uid") == uid]
    if refused and not pods:
        found.append(creation(f"Job/{job['metadata']['name']}", str(refused[-1].get("message") or "")))
    return found


def pods_of(api: Api, namespace: str, name: str) -> list[Json]:
    """Return the pods of a Job, the oldest first."""
    query = {"labelSelector": f"batch.kubernetes.io/job-name={name}"}
    found: list[Json] = api.request("GET", f"/api/v1/namespaces/{namespace}/pods", query=query)["items"]
    return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def said(api: Api, pods: list[Json], container: str) -> Json:
    """Return the result as the last line of the log has it: a termination message has room for 4096 bytes."""
    return _json(_log(api, pods[-1], container, 1)) if pods else {}


def result(pods: list[Json], container: str) -> Json:
    """Return what the newest pod left; {} when it left nothing."""
    found = [message for pod in pods if (message := message_of(pod, container))]
    return found[-1] if found else {}


def message_of(pod: Json, container: str) -> Json:
    """Return a container's termination message, if it is a JSON object."""
    for status in (pod.get("status") or {}).get("containerStatuses") or []:
        if status["name"] == container:
            return _json(((status.get("state") or {}).get("terminated") or {}).get("message") or "")
    return {}


def _json(text: str) -> Json:
    try:
        found: Any = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def failure(api: Api, name: str, condition: Json, pods: list[Json], container: str) -> ReleaseError:
    """Say why a Job failed: in its own words, otherwise in Kubernetes', with the last lines of its log."""
    told = result(pods, container)
    if told.get("cause"):
        kind = UpgradeFailed if told.get("code") == UpgradeFailed.code else JobFailed
        return kind(str(told["cause"]), str(told.get("fix") or ""))
    reason = str(condition.get("message") or condition.get("reason") or "no message").rstrip(".")
    lines = _log(api, pods[-1], container, LINES) if pods else ""
    last = f" Its last lines:\n{lines}\n" if lines else ""
    return JobFailed(f"Job/{name} failed: {reason}.{last}", "Remove that cause and run the same command again.")


def _is_done(job: Json, pods: list[Json]) -> bool:
    """Whether the one pod that the Job needs has succeeded, which a busy cluster notes on the Job much later."""
    succeeded = any((pod.get("status") or {}).get("phase") == "Succeeded" for pod in pods)
    return succeeded and int(job["spec"].get("completions") or 1) == 1


def _has_ended(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") in ENDED


def _said(api: Api, pods: list[Json], container: str) -> str:
    """Return the last line of progress; the result, which is JSON, is not one."""
    line = _log(api, pods[-1], container, 1) if pods else ""
    return "ending" if line.startswith("{") else line


def _log(api: Api, pod: Json, container: str, lines: int) -> str:
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/log"
    try:
        return api.text(path, {"container": container, "tailLines": lines}).strip()
    except ApiError:
        return ""  # it has not begun
