# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether a workload has become what its spec asks for, in the words of a progress line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..kube.objects import Object

WITH_PODS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job"})


def state(item: Object) -> str:
    """Return "" when a live object is ready, else how far it is, such as `0/1 ready`."""
    kind = item["kind"]
    if kind == "Job":
        return _job(item)
    if kind not in WITH_PODS:
        return ""
    spec, status = item["spec"], item.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(item["metadata"].get("generation") or 0):
        return "not seen by its controller yet"
    if kind == "DaemonSet":
        wanted = int(status.get("desiredNumberScheduled") or 0)
        updated, ready = int(status.get("updatedNumberScheduled") or 0), int(status.get("numberAvailable") or 0)
    else:
        wanted = int(1 if spec.get("replicas") is None else spec["replicas"])
        updated, ready = _updated(item, status, wanted), int(status.get("readyReplicas") or 0)
        if kind == "Deployment" and updated >= wanted and int(status.get("replicas") or 0) > updated:
            return f"{int(status['replicas']) - updated} old pods to end"
    if updated < wanted:
        return f"{updated}/{wanted} started"
    return f"{ready}/{wanted} ready" if ready < wanted else ""


def _updated(item: Object, status: Object, wanted: int) -> int:
    """A StatefulSet of one revision does not always count its pods as updated."""
    if item["kind"] == "StatefulSet":
        if (item["spec"].get("updateStrategy") or {}).get("type") == "OnDelete":
            return wanted
        if status.get("currentRevision") == status.get("updateRevision"):
            return int(status.get("replicas") or 0)
    return int(status.get("updatedReplicas") or 0)


def _job(item: Object) -> str:
    conditions = {c["type"]: c for c in (item.get("status") or {}).get("conditions") or [] if c["status"] == "True"}
    if "Complete" in conditions or "SuccessCriteriaMet" in conditions or item["spec"].get("suspend"):
        return ""
    if "Failed" in conditions:
        return f"failed: {conditions['Failed'].get('message', '')}"
    done = int((item.get("status") or {}).get("succeeded") or 0)
    return f"{done}/{int(item['spec'].get('completions') or 1)} complete"


def has_failed(item: Object) -> bool:
    """Say if a Job has given up. It never retries, so it has to be replaced."""
    conditions = (item.get("status") or {}).get("conditions") or []
    return item["kind"] == "Job" and any(c["type"] == "Failed" and c["status"] == "True" for c in conditions)


def selector(item: Object) -> str:
    """Return the label selector of a workload's pods."""
    if item["kind"] == "Job":
        return f"batch.kubernetes.io/job-name={item['metadata']['name']}"
    labels = ((item["spec"].get("selector") or {}).get("matchLabels")) or {}
    return ",".join(f"{name}={value}" for name, value in labels.items())
