# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Prove the newest revision by its chart's own tests, once: Helm notes the result in the release record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ReleaseError
from ..health import rollout
from .changes import Change, Outcome
from .manifest import tests
from .smoke_test import verify

if TYPE_CHECKING:
    from .record import Record
    from .session import Session


def ensure_tested(session: Session, *, check_mode: bool) -> Outcome:
    """Run the tests unless they have passed. A first install is tested while it comes up.

    Raises ReleaseError if one fails.
    """
    options = session.options
    record = newest(session)
    proof = Change("verify", "Release", options.name, options.namespace)
    if check_mode and (record is None or not record.verified or options.assume_changed or options.again):
        return Outcome([proof], record)
    if record is None:
        raise ReleaseError(
            f"There is no Helm release {options.name} in namespace {options.namespace}.", "Deploy it first."
        )
    if record.verified and not options.again:
        return Outcome([], record, verified=True)
    with session.lease() as lease:
        session.take_over(lease)
        is_first = len(session.records.statuses()) == 1
        proved = False
        if is_first:  # nothing older is there that could answer the tests
            proved = verify(
                session, tests(record.hooks), record.objects, lease.check, rollout.Watch(session, record.objects)
            )
        rollout.wait(session, record.objects, lease.check)
        if not proved:
            verify(session, tests(record.hooks), record.objects, lease.check)
    record = newest(session)
    return Outcome([proof], record, ready=True, verified=record is not None and record.verified)


def ensure_ready(session: Session, *, check_mode: bool) -> Outcome:
    """Wait until the workloads of the newest revision are ready. In check mode only look."""
    record = newest(session)
    if record is None:
        return Outcome()
    if not check_mode:
        rollout.wait(session, record.objects, lambda: None)
    return Outcome(record=record, ready=not rollout.unready(session, record.objects))


def newest(session: Session) -> Record | None:
    """Read the newest revision; None if there is no release."""
    revision = next(iter(session.records.statuses()), 0)
    return session.records.read(revision) if revision else None
