# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Make Kubernetes try again now what it would try again in minutes, once the cause may have been repaired.

All of it only saves time, so none of it fails a deploy.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import ApiError
from ..kube.api import MERGE
from .podstate import is_ready

if TYPE_CHECKING:
    from ..kube.objects import Object
    from ..release.session import Session
    from .problems import Problem

RETRIED = "mlflow.nebari.dev/retried-at"
MADE_BY = {
    "Deployment": ("apps/v1", "ReplicaSet"),
    "StatefulSet": ("apps/v1", "StatefulSet"),
    "DaemonSet": ("apps/v1", "DaemonSet"),
    "Job": ("batch/v1", "Job"),
}  # which controller's object makes the pods


def retry_now(session: Session, owner: Object, kind: str) -> None:
    """Touch the object that makes the pods: its controller backs off for up to 16 minutes, unless it changes."""
    resource = session.discovery.get(*MADE_BY[kind])
    touch(session, resource.path(session.options.namespace, owner["metadata"]["name"]))


def touch(session: Session, path: str) -> None:
    """Change an annotation, which makes every controller look at the object."""
    mark = {"metadata": {"annotations": {RETRIED: session.api.now().isoformat(timespec="seconds")}}}
    with suppress(ApiError):
        session.api.request("PATCH", path, body=mark, content_type=MERGE)


def start_anew(session: Session, stuck: list[Problem]) -> None:
    """Delete pods that an earlier run left in a back-off, which lasts up to five minutes beyond the repair."""
    for name in {problem.where.partition("/")[2] for problem in stuck}:
        _delete_pod(session, name)


def replace_outdated(session: Session, item: Object, pods: list[Object]) -> None:
    """Delete a StatefulSet's broken pods of an older template: it would wait for them to become ready first."""
    status = item.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(item["metadata"].get("generation") or 0):
        return
    for pod in pods:
        outdated = pod["metadata"]["labels"].get("controller-revision-hash") != status.get("updateRevision")
        if outdated and not is_ready(pod) and not pod["metadata"].get("deletionTimestamp"):
            _delete_pod(session, pod["metadata"]["name"])


def _delete_pod(session: Session, name: str) -> None:
    with suppress(ApiError):
        session.api.delete(f"/api/v1/namespaces/{session.options.namespace}/pods/{name}")
