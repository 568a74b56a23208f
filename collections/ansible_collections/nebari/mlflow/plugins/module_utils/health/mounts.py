# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Why the volumes of a pod are not there, in the kubelet's words: a pod's own status says only ContainerCreating."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .problems import AGAIN, VOLUME, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..kube.objects import Object

REASONS = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")
MISSING = re.compile(r'(secret|configmap|persistentvolumeclaim) "[^"]+" not found|references non-existent', re.I)
MOUNTED = "PodReadyToStartContainers"
"""Condition of a pod whose volumes are there. Kubernetes before 1.29 has none, and then only waiting tells."""
# What the kubelet adds after two minutes, and what says the same with less.
USELESS = re.compile(r"timed out waiting for the condition|Unable to attach or mount volumes")


def of_pod(pod: Object, events: Iterable[Object]) -> Problem | None:
    """Return why a pod waits for its volumes; `events` are warnings, the oldest first."""
    status = pod.get("status") or {}
    mounted = {each["type"]: each["status"] for each in status.get("conditions") or []}.get(MOUNTED, "")
    if status.get("phase") != "Pending" or mounted == "True":
        return None
    name, uid = pod["metadata"]["name"], pod["metadata"].get("uid")
    told = [
        str(event.get("message") or "").strip()
        for event in events
        if event.get("reason") in REASONS and (event.get("involvedObject") or {}).get("uid") == uid
    ]
    telling = [message for message in told if message and not USELESS.search(message)] or told
    if not telling:
        return None
    message = telling[-1].splitlines()[0].rstrip(".")
    return Problem(
        f"Pod/{name}",
        "mount",
        f"a volume is not mounted: {message}",
        f"Pod/{name} waits for a volume: {message}.",
        f"Make what it names exist, or correct the values; {AGAIN}.",
        grace=20 if mounted == "False" and MISSING.search(message) else None,
        code=VOLUME,
    )
