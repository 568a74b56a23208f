# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""state=present: plan, and then under the Lease do what was planned, wait, and prove that it works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import restarts, rollout, secrets
from .changes import Outcome
from .exceptions import ApiError
from .helm import patiently
from .live import compare, is_built_in, send_patch
from .manifest import as_applied, tests
from .namespace import ensure_namespace, find_namespace
from .plan import SUMMARY, Plan, build
from .record import PENDING
from .render import render
from .rights import explain, needed, require
from .verification import heartbeat, seconds, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from .manifest import Object
    from .session import Session


def ensure_present(session: Session, *, check_mode: bool) -> Outcome:
    """Make the release what is asked. In check mode return the same changes without making them."""
    metadata = session.helm.chart_metadata()
    chart = {name: str(metadata.get(name, "")) for name in SUMMARY}
    missing = find_namespace(session) is None
    rendered = render(session)
    try:
        if not check_mode and not missing:
            session.lease().refuse_if_held()
        plan = build(session, rendered, metadata, namespace_missing=missing)
    except ApiError as error:
        explain(session, rendered, error)
        raise
    if check_mode:
        return Outcome(plan.changes, plan.record, chart, plan.warnings)
    if not plan.writes:
        rollout.wait(session, plan.objects, lambda: None)
        return Outcome([], plan.record, chart, plan.warnings)
    require(session, needed(session, plan))
    made = plan.changes[:1] if ensure_namespace(session) else []
    with session.lease() as lease:
        session.take_over(lease)
        plan = build(session, rendered, metadata, namespace_missing=False)
        apply(session, plan, lease.check)
    newest = next(iter(session.records.statuses()), 0)
    return Outcome([*made, *plan.changes], session.records.read(newest), chart, plan.warnings)


def apply(session: Session, plan: Plan, check: Callable[[], None]) -> None:
    """Do what was planned, in the order in which a kill between two steps does the least harm."""
    options = session.options
    for each in plan.secrets:
        secrets.ensure(session.api, each.spec, options.name, options.namespace, renewed=each.renewed)
    restarts.carry_out(session, plan.restarts, check, first=True)
    if plan.recover:
        recover(session)
    for step in plan.steps:
        check()
        step.do()
    if plan.upgrade:
        check()
        beat = heartbeat(session, "applying the chart", seconds(session), check)
        patiently(lambda: upgrade(session, beat), lambda: recover(session))
        repair(session, plan.objects)
    restarts.carry_out(session, plan.restarts, check, first=False)
    proved = not plan.verify
    if plan.verify and plan.record is None:  # nothing older is there that could answer the tests
        proved = verify(session, tests(plan.hooks), check, rollout.Watch(session, plan.objects))
    rollout.wait(session, plan.objects, check)
    if not proved:
        verify(session, tests(plan.hooks), check)


def upgrade(session: Session, beat: Callable[[], None]) -> str:
    """Run Helm, and once more where it ends well with its record left pending.

    Helm 3 does so when the last write of a first install fails.
    """
    said = session.helm.upgrade(seconds(session), beat)
    return session.helm.upgrade(seconds(session), beat) if recover(session) else said


def recover(session: Session) -> bool:
    """Make a revision that was left pending one that Helm goes on from; return whether there was one.

    The Lease says that nobody works on it.
    """
    record = session.records.read(next(iter(session.records.statuses()), 0))
    if record is None or record.status not in PENDING:
        return False
    session.progress.say(f"taking up revision {record.revision}, left {record.status}")
    session.records.mark_failed(record)
    return True


def repair(session: Session, objects: list[Object]) -> None:
    """Put back what Helm leaves as it finds it: it compares custom resources with its record, not with the cluster."""
    for found in compare(session, [], [item for item in objects if not is_built_in(session, item)]):
        if found.live is not None and found.refused is None and found.fields:
            body = as_applied(found.item, session.options.name, session.options.namespace)
            send_patch(session, found.item, body, dry_run=False)
