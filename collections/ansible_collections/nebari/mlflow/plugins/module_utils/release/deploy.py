# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""state=planned and state=present: plan, and then under the Lease do what was planned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ApiError, ReleaseError
from ..health import rollout
from . import restarts, store
from . import upgrade as upgrade_of_data
from .changes import Outcome
from .comparison import compare, is_built_in, send_patch
from .helm import patiently
from .manifest import as_applied
from .namespace import ensure_namespace, find_namespace
from .plan import SUMMARY, Plan, build
from .record import PENDING
from .render import render
from .rights import explain, needed, require
from .smoke_test import heartbeat, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..kube.objects import Object
    from .session import Session


def ensure_planned(session: Session, *, check_mode: bool) -> Outcome:
    """Return what a deploy would do, and raise what would stop it: outside check mode also rights that are missing."""
    chart, _, plan = _plan(session, wait_turn=not check_mode)
    if not check_mode and (plan.writes or plan.missing_secrets):
        require(session, needed(session, plan))
    if plan.upgrade_of_data:
        plan.warnings.append(upgrade_of_data.announcement(plan.upgrade_of_data))
    plan.warnings += store.warnings(plan.comparisons)
    return _outcome(session, plan, chart)


def ensure_present(session: Session, *, check_mode: bool) -> Outcome:
    """Make the release what is asked, without waiting for its pods. In check mode return the same changes only."""
    chart, rendered, plan = _plan(session, wait_turn=not check_mode)
    if check_mode:
        return _outcome(session, plan, chart)
    _refuse_missing(plan)
    if not plan.writes:
        return _outcome(session, plan, chart)
    require(session, needed(session, plan))
    made = plan.changes[:1] if ensure_namespace(session) else []
    with session.lease() as lease:
        session.take_over(lease)
        plan = build(session, rendered, session.helm.chart_metadata(), namespace_missing=False)
        _refuse_missing(plan)
        apply(session, plan, lease.check)
    newest = next(iter(session.records.statuses()), 0)
    record = session.records.read(newest)
    verified = record is not None and record.verified and not plan.verify
    ready = not rollout.unready(session, plan.objects)
    return Outcome([*made, *plan.changes], record, chart, plan.warnings, ready=ready, verified=verified)


def _plan(session: Session, *, wait_turn: bool) -> tuple[dict[str, str], list[Object], Plan]:
    metadata = session.helm.chart_metadata()
    chart = {name: str(metadata.get(name, "")) for name in SUMMARY}
    missing = find_namespace(session) is None
    rendered = render(session)
    try:
        if wait_turn and not missing:
            session.lease().refuse_if_held()
        return chart, rendered, build(session, rendered, metadata, namespace_missing=missing)
    except ApiError as error:
        explain(session, rendered, error)
        raise


def _outcome(session: Session, plan: Plan, chart: dict[str, str]) -> Outcome:
    """Describe what is, and what a deploy would change."""
    ready = not plan.writes and not rollout.unready(session, plan.objects)
    return Outcome(
        plan.changes,
        plan.record,
        chart,
        plan.warnings,
        ready=ready,
        verified=not plan.verify,
        missing_secrets=plan.missing_secrets,
        upgrade=plan.upgrade_of_data,
    )


def _refuse_missing(plan: Plan) -> None:
    if plan.missing_secrets:
        raise ReleaseError(
            f"Secret/{plan.missing_secrets[0]} is missing or incomplete, and pods of the release need it. "
            "Nothing was changed.",
            "Generate it with the module nebari.mlflow.generated_secret, or create it by hand.",
        )


def apply(session: Session, plan: Plan, check: Callable[[], None]) -> None:
    """Do what was planned, in the order in which a kill between two steps does the least harm."""
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
    session.progress.say(f"recovering revision {record.revision}, which was left {record.status}")
    session.records.mark_failed(record)
    return True


def repair(session: Session, objects: list[Object]) -> None:
    """Put back what Helm leaves as it finds it: it compares custom resources with its record, not with the cluster."""
    for found in compare(session, [], [item for item in objects if not is_built_in(session, item)]):
        if found.live is not None and found.refused is None and found.fields:
            body = as_applied(found.item, session.options.name, session.options.namespace)
            send_patch(session, found.item, body, dry_run=False)
