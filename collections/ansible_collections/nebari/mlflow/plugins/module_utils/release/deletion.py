# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Delete objects and see them go."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..errors import ReleaseError

if TYPE_CHECKING:
    from .session import Session

PAUSE = 0.4  # seconds


def delete_and_wait(session: Session, path: str, what: str, *, uid: str) -> None:
    """Delete one object, and return when that very object (not a successor of its name) is gone."""
    session.api.delete(path, body={"preconditions": {"uid": uid}})
    wait_until_gone(session, path, what, uid=uid)


def wait_until_gone(session: Session, path: str, what: str, *, uid: str) -> None:
    """Return when that very object is gone. A claim is held until its last pod has ended.

    Raises ReleaseError at the deadline.
    """
    while (live := session.api.find(path)) and live["metadata"]["uid"] == uid:
        session.helm.must_stop()
        session.progress.say(f"waiting for {what} to be deleted")
        if session.remaining() <= 0:
            held = ", ".join(live["metadata"].get("finalizers") or []) or "nothing that it names"
            raise ReleaseError(
                f"{what} is still there after {session.options.timeout} s, held by {held}.",
                "Stop what uses it, or remove that finalizer if its controller no longer exists; then run it again.",
            )
        time.sleep(PAUSE)


def wait_for_pods(session: Session, selector: str) -> None:
    """Return when no pod has these labels. Raises ReleaseError at the deadline."""
    pods = f"/api/v1/namespaces/{session.options.namespace}/pods"
    while selector and (left := session.api.request("GET", pods, query={"labelSelector": selector})["items"]):
        session.helm.must_stop()
        names = ", ".join(pod["metadata"]["name"] for pod in left)
        session.progress.say(f"waiting for {len(left)} pods to end: {names}")
        if session.remaining() <= 0:
            raise ReleaseError(
                f"Pods still there after {session.options.timeout} s: {names}.",
                "Look at their node and finalizers; run it again when they are gone.",
            )
        time.sleep(PAUSE)
