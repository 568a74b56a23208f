# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Make an earlier revision of a release the newest one again, with the chart and the values that it had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ReleaseError
from .changes import Change, Outcome
from .deploy import recover
from .helm import patiently
from .record import DEPLOYED
from .smoke_test import heartbeat, seconds
from .tested import newest

if TYPE_CHECKING:
    from .record import Record
    from .session import Session


def ensure_rolled_back(session: Session, *, check_mode: bool) -> Outcome:
    """Roll back, unless the newest revision is that one, or has been rolled back to it."""
    options = session.options
    record, wanted = newest(session), session.records.read(options.revision)
    if wanted is None:
        raise ReleaseError(
            f"Helm has no revision {options.revision} of release {options.name} in namespace {options.namespace}.",
            f"List them: helm history {options.name} -n {options.namespace}",
        )
    if record is not None and is_same(record, wanted):
        return Outcome(record=record, verified=record.verified)
    change = Change("update", "Release", options.name, options.namespace, ("revision",))
    if check_mode:
        return Outcome([change], record)
    with session.lease() as lease:
        session.take_over(lease)
        recover(session)
        beat = heartbeat(session, f"rolling back to revision {options.revision}", seconds(session), lease.check)
        patiently(lambda: session.helm.rollback(options.revision, seconds(session), beat), lambda: recover(session))
    return Outcome([change], newest(session))


def is_same(record: Record, wanted: Record) -> bool:
    """Whether a revision is deployed and is what another one was."""
    of_both = [(each.chart, each.config, each.objects) for each in (record, wanted)]
    return record.status == DEPLOYED and of_both[0] == of_both[1]
