# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Restart workloads that use a Secret whose values were replaced: a running pod never learns the new ones.

The Secret says when that was: by a mark of ours, and by the API server's own note of who changed its data when, so a
change by hand, by a Secret operator or by another tool counts as well. A workload that is older and whose pod template
does not say the same time still has the old values, so a run that was killed in between is finished by the next one.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..health import workloads
from ..health.rollout import wait
from ..kube.api import STRATEGIC
from .changes import Change
from .manifest import annotation
from .secrets import RENEWED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..kube.objects import Object
    from .comparison import Comparison
    from .session import Session

KINDS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
INFORMED = "mlflow.nebari.dev/informed-at"  # of a workload: it knows what its Secrets held then, without a restart
FIRST = frozenset({"StatefulSet"})  # databases, before those who log in to them
STAMP = "%Y-%m-%dT%H:%M:%SZ"  # as Kubernetes writes it; in the order of time when sorted as text


@dataclass(frozen=True)
class Restart:
    """One workload to restart; `since` is when a value that it uses was replaced."""

    found: Comparison
    since: str

    @property
    def change(self) -> Change:
        """Return the change: an annotation of the pod template that starts a rollout."""
        key, live = self.found.key, self.found.live or {}
        after = copy.deepcopy(live)
        after["spec"]["template"]["metadata"].setdefault("annotations", {})[RENEWED] = self.since
        field = f"spec.template.metadata.annotations.{RENEWED}"
        return Change("update", key.kind, key.name, key.namespace, (field,), live, after)


def users(comparisons: list[Comparison], secret: str) -> list[Comparison]:
    """Return the workloads of the release that are there and use the Secret."""
    return [
        found
        for found in comparisons
        if found.live is not None and found.key.kind in KINDS and secret in names(found.item["spec"]["template"])
    ]


def changed_at(secret: Object) -> str:
    """When the API server last saw a value of a Secret change, "" if it does not tell. No value is looked at."""
    entries = secret["metadata"].get("managedFields") or []
    told = [str(entry.get("time") or "") for entry in entries if "f:data" in (entry.get("fieldsV1") or {})]
    return max(told, default="")


def used(comparisons: list[Comparison]) -> set[str]:
    """Return the Secrets that workloads of the release use, those of others among them."""
    there = [found for found in comparisons if found.live is not None and found.key.kind in KINDS]
    return {name for found in there for name in names(found.item["spec"]["template"]) if name}


def needed(comparisons: list[Comparison], renewed: dict[str, str]) -> list[Restart]:
    """Return the workloads with old values; `renewed` maps each Secret to the time of its new values."""
    since: dict[int, Restart] = {}
    for secret, when in renewed.items():
        for found in users(comparisons, secret):
            if _is_outdated(found.live or {}, when):
                latest = max(when, since[id(found)].since) if id(found) in since else when
                since[id(found)] = Restart(found, latest)
    return list(since.values())


def outdated(session: Session, comparisons: list[Comparison], changed: dict[str, str]) -> list[Restart]:
    """Return the workloads with a pod older than a change. A rollout since then has brought the new values."""
    return [restart for restart in needed(comparisons, changed) if _has_older_pod(session, restart)]


def _has_older_pod(session: Session, restart: Restart) -> bool:
    there = pods(session, restart.found)
    return any(str(pod["metadata"].get("creationTimestamp", "")) < restart.since for pod in there)


def pods(session: Session, found: Comparison) -> list[Object]:
    """Return the pods of a workload, those that are ending among them. Raises ApiError."""
    query = {"labelSelector": workloads.selector(found.live or {})}
    path = f"/api/v1/namespaces/{session.options.namespace}/pods"
    there: list[Object] = session.api.request("GET", path, query=query)["items"] if query["labelSelector"] else []
    return there


def start(session: Session, restart: Restart) -> None:
    """Start the rollout by which the pods of a workload learn the new values. Raises ApiError."""
    session.progress.say(f"restarting {restart.found.key} with the new Secret")
    body = {"spec": {"template": {"metadata": {"annotations": {RENEWED: restart.since}}}}}
    path = session.discovery.path(restart.found.item, session.options.namespace)
    session.api.request("PATCH", path, body=body, content_type=STRATEGIC)


def carry_out(session: Session, restarts: list[Restart], check: Callable[[], None], *, first: bool) -> None:
    """Restart the databases, or all others; wait for a database that was ready, so that the others can log in."""
    for restart in restarts:
        key, live = restart.found.key, restart.found.live
        if (key.kind in FIRST) is not first or live is None:
            continue
        check()
        start(session, restart)
        if first and not workloads.state(live):
            wait(session, [restart.found.item], check)


def names(value: Any) -> set[str]:
    """Return the Secrets that a pod template names as environment or as volume."""
    return set(_names(value))


def _names(value: Any) -> Iterable[str]:
    if isinstance(value, list):
        for item in value:
            yield from _names(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in ("secretKeyRef", "secretRef", "secret") and isinstance(item, dict):
                yield str(item.get("name") or item.get("secretName") or "")
            else:
                yield from _names(item)


def _is_outdated(live: Object, when: str) -> bool:
    told = max(annotation(live["spec"]["template"], RENEWED), annotation(live, INFORMED))
    return str(live["metadata"].get("creationTimestamp", "")) < when and told < when
