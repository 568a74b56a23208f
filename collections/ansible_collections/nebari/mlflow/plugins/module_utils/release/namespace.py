# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The release's namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ApiError, ReleaseError

if TYPE_CHECKING:
    from .options import Options
    from .session import Session

CONFLICT = 409


def is_terminating(live: dict[str, Any]) -> bool:
    """Say if a live namespace is being deleted."""
    return (live.get("status") or {}).get("phase") == "Terminating"


def find_namespace(session: Session, *, allow_terminating: bool = False) -> dict[str, Any] | None:
    """Read the namespace; refuse one that is being deleted, and one that is missing and not to be created."""
    name = session.options.namespace
    live = session.api.find(f"/api/v1/namespaces/{name}")
    if live is None:
        if session.options.state in ("present", "planned") and not session.options.create_namespace:
            raise ReleaseError(
                f"namespace: {name!r} does not exist.",
                f"Create it (kubectl create namespace {name}), or set create_namespace.",
            )
        return None
    if is_terminating(live) and not allow_terminating:
        raise terminating(live)
    return live


def terminating(live: dict[str, Any]) -> ReleaseError:
    """Say what still holds a namespace that is being deleted, as its own conditions tell it."""
    name = live["metadata"]["name"]
    told = ("NamespaceContentRemaining", "NamespaceFinalizersRemaining", "NamespaceDeletionContentFailure")
    conditions = (live.get("status") or {}).get("conditions") or []
    held = [str(c.get("message", "")) for c in conditions if c.get("status") == "True" and c.get("type") in told]
    held += [f"finalizer {item}" for item in (live.get("spec") or {}).get("finalizers") or [] if item != "kubernetes"]
    return ReleaseError(
        f"Namespace {name!r} is being deleted (since {live['metadata'].get('deletionTimestamp', 'just now')}); "
        + (f"what holds it: {'; '.join(held)}." if held else "it still has content."),
        "Wait until it is gone, remove those finalizers by hand if their owner is gone, or use another namespace.",
    )


def manifest(options: Options) -> dict[str, Any]:
    """Return the namespace to create. One that exists keeps its labels."""
    labels = {"labels": options.namespace_labels} if options.namespace_labels else {}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": options.namespace, **labels}}


def ensure_namespace(session: Session) -> bool:
    """Create the namespace; return whether it was missing."""
    if find_namespace(session) is not None:
        return False
    try:
        session.api.request("POST", "/api/v1/namespaces", body=manifest(session.options))
    except ApiError as error:
        if error.status != CONFLICT:
            raise
    return True
