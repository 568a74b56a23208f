# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""state=examined: refuse what a deploy would refuse to touch, before anything outside the cluster is changed for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import guards
from .changes import Outcome
from .namespace import find_namespace

if TYPE_CHECKING:
    from .session import Session


def ensure_examined(session: Session, *, check_mode: bool) -> Outcome:  # noqa: ARG001 (it never writes)
    """Look at the release, its Secrets and its claims as they are."""
    if find_namespace(session) is None:
        return Outcome()
    records = guards.current(session, session.records.statuses())
    guards.refuse(session, records, session.helm.chart_metadata())
    return Outcome(record=next(iter(records), None))
