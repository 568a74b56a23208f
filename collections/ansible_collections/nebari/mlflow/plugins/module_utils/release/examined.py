# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""state=examined: refuse what a deploy would refuse to touch, before anything outside the cluster is changed for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import classes, guards
from .changes import Outcome
from .comparison import Comparison
from .manifest import key, split
from .namespace import find_namespace
from .render import render

if TYPE_CHECKING:
    from ..kube.objects import Object
    from .session import Session

JUDGED = frozenset({"StatefulSet", "Deployment", "PersistentVolumeClaim"})


def ensure_examined(session: Session, *, check_mode: bool) -> Outcome:  # noqa: ARG001 (it never writes)
    """Look at the release, its Secrets and its claims as they are, and at the values if they are given."""
    is_missing = find_namespace(session) is None
    if session.options.values:
        objects, hooks = split(render(session))
        judged = [_beside(session, item) for item in objects if item["kind"] in JUDGED]
        classes.refuse_missing(session, judged, hooks)
    if is_missing:
        return Outcome()
    records = guards.current(session, session.records.statuses())
    guards.refuse(session, records, session.helm.chart_metadata())
    return Outcome(record=next(iter(records), None))


def _beside(session: Session, item: Object) -> Comparison:
    """Return an object of the chart beside the one that exists; what would become of it is not asked."""
    live = session.api.find(session.discovery.path(item, session.options.namespace))
    return Comparison(key(item, session.options.namespace), item, live, item)
