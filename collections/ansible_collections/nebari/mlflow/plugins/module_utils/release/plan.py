# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Decide what a deploy has to do. Nothing here writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..kube.merge import differing, without_nulls
from . import classes, guards, namespace, restarts, secrets, upgrade
from .changes import Change, Step
from .comparison import Comparison, compare
from .immutable import steps
from .manifest import Key, annotation, as_applied, by_key, is_kept, is_owned, key, split, tests
from .record import DEPLOYED, PENDING, Record
from .restarts import Restart

if TYPE_CHECKING:
    from ..kube.objects import Object
    from .session import Session

SUMMARY = ("name", "version", "appVersion")


@dataclass
class Plan:
    """What is, what is wanted, and the steps between them."""

    namespace_missing: bool
    record: Record | None
    objects: list[Object]
    hooks: list[Object]
    comparisons: list[Comparison] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    recover: bool = False
    upgrade: bool = False
    verify: bool = False
    steps: list[Step] = field(default_factory=list)  # what has to be done before Helm
    missing_secrets: list[str] = field(default_factory=list)
    restarts: list[Restart] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    upgrade_of_data: dict[str, Any] = field(default_factory=dict)

    @property
    def writes(self) -> bool:
        """Say if the deploy has to write anything."""
        return bool(self.changes)


def build(session: Session, rendered: list[Object], chart: Object, *, namespace_missing: bool) -> Plan:
    """Compare what is asked with Helm's record and with the cluster. Raise ReleaseError for what must stay as it is."""
    objects, hooks = split(rendered)
    records = [] if namespace_missing else guards.current(session, session.records.statuses())
    there = {} if namespace_missing else guards.refuse(session, records, chart)
    plan = Plan(namespace_missing, next(iter(records), None), objects, hooks)
    plan.warnings += [*guards.unused(session, there), *session.warnings]
    _plan_namespace(session, plan)
    applied, of_helm = _history(session, records)
    _compare(session, plan, list(applied.values()))
    classes.refuse_missing(session, plan.comparisons, plan.hooks)
    plan.missing_secrets = [
        spec.name for spec in session.options.secrets if secrets.missing(spec, there.get(spec.name))
    ]
    _plan_objects(session, plan)
    for which, item in applied.items():
        if which not in by_key(objects, session.options.namespace) and not is_kept(item):
            _plan_deletion(session, plan, which, item, by_helm=which in of_helm)
    _plan_release(session, plan, {name: str(chart.get(name, "")) for name in SUMMARY})
    _plan_restarts(session, plan, there)
    plan.upgrade_of_data = upgrade.find(plan.comparisons)
    unproven = plan.upgrade or bool(plan.restarts) or plan.record is None or not plan.record.verified
    plan.verify = bool(tests(plan.hooks)) and unproven
    return plan


def _plan_namespace(session: Session, plan: Plan) -> None:
    if plan.namespace_missing:
        after = namespace.manifest(session.options)
        plan.changes.append(Change("create", "Namespace", session.options.namespace, after=after))


def _compare(session: Session, plan: Plan, old: list[Object]) -> None:
    options = session.options
    if plan.namespace_missing:
        plan.comparisons = [
            Comparison(key(item, options.namespace), item, None, as_applied(item, options.name, options.namespace))
            for item in plan.objects
        ]
    else:
        plan.comparisons = compare(session, old, plan.objects)
        guards.refuse_claims(session, plan.comparisons)


def _plan_objects(session: Session, plan: Plan) -> None:
    for found in plan.comparisons:
        which = found.key
        before = steps(session, found)
        replaced = [change for step in before for change in step.changes]
        plan.steps += before
        plan.changes += replaced
        if found.live is None:
            plan.changes.append(Change("create", which.kind, which.name, which.namespace, after=found.after))
        elif found.differs and which.kind != "Job":
            place = (which.kind, which.name, which.namespace)
            plan.changes.append(Change("update", *place, tuple(found.fields), found.live, found.after))


def _plan_deletion(session: Session, plan: Plan, which: Key, item: Object, *, by_helm: bool) -> None:
    """Plan to remove an object that an earlier revision made, unless it is kept, gone or owned by others by now."""
    resource = session.discovery.find(item["apiVersion"], item["kind"])
    if resource is None:
        return
    path = resource.path(which.namespace, which.name)
    live = session.api.find(path)
    if live is None or is_kept(live) or not is_owned(live, session.options.name, session.options.namespace):
        return
    if not by_helm:
        plan.steps.append(Step(lambda: session.api.delete(path)))
    plan.changes.append(Change("delete", which.kind, which.name, which.namespace, before=live))


def _history(session: Session, records: list[Record]) -> tuple[dict[Key, Object], set[Key]]:
    """The objects of every revision since the last good one (newest wins), and those that Helm itself compares with.

    Helm compares with one revision only, so what an interrupted one created would stay for ever.
    """
    found: dict[Key, Object] = {}
    of_helm: set[Key] = set()
    for record in records:
        objects = by_key(record.objects, session.options.namespace)
        of_helm = of_helm if found and record.status != DEPLOYED else set(objects)
        found = {**objects, **found}
    return found, of_helm


def _plan_release(session: Session, plan: Plan, chart: dict[str, str]) -> None:
    options, record = session.options, plan.record
    touched = any(change.kind not in {"Namespace", "Secret"} for change in plan.changes)
    if record is None:
        plan.upgrade = True
        after = {"chart": chart, "values": options.values, "revision": 1}
        plan.changes.append(Change("create", "Release", options.name, options.namespace, after=after))
    else:
        plan.recover = record.status in PENDING
        before = {"chart": record.chart, "values": without_nulls(record.config), "status": record.status}
        before["chart"] = {name: str(record.chart.get(name, "")) for name in chart}
        after = {"chart": chart, "values": without_nulls(options.values), "status": DEPLOYED}
        fields = differing(before, after)
        if record.objects != plan.objects or touched:
            fields.append("manifest")
        if record.hooks != plan.hooks:
            fields.append("hooks")
        plan.upgrade = bool(fields)
        if plan.recover:
            state = {"status": record.status}, {"status": "failed"}
            plan.changes.append(Change("recover", "Release", options.name, options.namespace, ("status",), *state))
        if plan.upgrade:
            plan.changes.append(
                Change("update", "Release", options.name, options.namespace, tuple(fields), before, after)
            )


def _plan_restarts(session: Session, plan: Plan, there: dict[str, Object | None]) -> None:
    """Plan to restart what has old values of a Secret, or will have when a missing Secret is generated."""
    renewed = {name: annotation(live, secrets.RENEWED) for name, live in there.items() if live is not None}
    for spec in session.options.secrets:
        if secrets.lost(spec, there.get(spec.name)):
            renewed[spec.name] = session.api.now().strftime(restarts.STAMP)
    plan.restarts = restarts.needed(plan.comparisons, {name: when for name, when in renewed.items() if when})
    covered = {id(restart.found) for restart in plan.restarts}
    changed = {name: restarts.changed_at(live) for name, live in _used_secrets(session, plan, there).items()}
    outdated = restarts.outdated(session, plan.comparisons, {name: when for name, when in changed.items() if when})
    plan.restarts += [restart for restart in outdated if id(restart.found) not in covered]
    told = {(change.kind, change.name) for change in plan.changes if change.action == "update"}
    changes = [restart.change for restart in plan.restarts]
    plan.changes += [change for change in changes if (change.kind, change.name) not in told]


def _used_secrets(session: Session, plan: Plan, there: dict[str, Object | None]) -> dict[str, Object]:
    """The Secrets that workloads use: the release's own, and those of others, such as an external database's."""
    folder = f"/api/v1/namespaces/{session.options.namespace}/secrets"
    found = {
        name: there[name] if name in there else session.api.find(f"{folder}/{name}")
        for name in restarts.used(plan.comparisons)
    }
    return {name: live for name, live in found.items() if live is not None}
