# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""state=absent: uninstall the release; its data stays unless it is asked to go too."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..health import workloads
from . import guards, ownership
from . import kept as kept_data
from .changes import Change, Outcome
from .deletion import wait_for_pods
from .helm import patiently
from .manifest import HOOK, Key, annotation, by_key, is_kept, is_owned
from .namespace import find_namespace, is_terminating, terminating

if TYPE_CHECKING:
    from .manifest import Object
    from .session import Session

PAUSE = 0.5
STRAYS = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "Job"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "ServiceAccount"),
)


def ensure_absent(session: Session, *, check_mode: bool) -> Outcome:
    """Remove the release. The namespace stays, and so does the data without `delete_data`."""
    namespace = find_namespace(session, allow_terminating=True)
    if namespace is None:
        return Outcome()
    if is_terminating(namespace):
        _wait_for_namespace(session, namespace, check_mode=check_mode)
        return Outcome()
    if session.options.chart:
        _refuse_foreign(session)
    if not check_mode:
        session.lease().refuse_if_held()
    removal = Removal(session)
    if not removal.changes and session.lease().exists():  # what a killed run left
        removal.changes.append(Change("delete", "Lease", session.options.name, session.options.namespace))
    if check_mode or not removal.changes:
        return Outcome(removal.changes, warnings=removal.warnings, kept=removal.kept)
    planned = removal.changes
    with session.lease() as lease:
        session.take_over(lease)
        removal = Removal(session)
        removal.carry_out()
    lease.remove()
    return Outcome(removal.changes or planned, warnings=removal.warnings, kept=removal.kept)


class Removal:
    """What has to go: the objects of every revision, the record, and the data where it was asked."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.warnings: list[str] = []
        self.changes: list[Change] = []
        self._paths: list[str] = []
        self._objects: dict[Key, Object] = {}
        options = session.options
        statuses = session.records.statuses()
        chart = session.helm.chart_metadata() if options.chart else None
        for revision in statuses:
            record = session.records.read(revision)
            if record is None or (chart and not ownership.is_same_chart(record.chart, chart)):
                continue  # ours came after another chart's, which took its objects with it
            for item in [*record.objects, *record.hooks]:
                self._objects.setdefault(*by_key([item], options.namespace).popitem())
        for which, item in self._objects.items():
            self._find(which, item)
        self._recorded = bool(statuses)
        if self._recorded:
            self.changes.append(Change("delete", "Release", options.name, options.namespace))
        else:
            self.warnings += _strays(session)
        found = kept_data.find(session, list(self._objects.values()))
        self._data = found if options.delete_data else []
        self.kept = [] if options.delete_data else [_place(item, options.namespace) for item in found]
        for item in self._data:
            self.changes.append(Change("delete", item["kind"], item["metadata"]["name"], options.namespace))
        if options.delete_data:
            self.warnings += kept_data.not_ours(session, list(self._objects.values()))

    def _find(self, which: Key, item: Object) -> None:
        resource = self._session.discovery.find(item["apiVersion"], item["kind"])
        if resource is None:
            return
        path = resource.path(which.namespace, which.name)
        live = self._session.api.find(path)
        options = self._session.options
        if live is None or is_kept(live) or live["metadata"].get("deletionTimestamp"):
            return
        if is_owned(live, options.name, options.namespace) or annotation(live, HOOK):
            self._paths.append(path)
            self.changes.append(Change("delete", which.kind, which.name, which.namespace, before=live))

    def carry_out(self) -> None:
        """Remove everything; the record goes last but for the data, so that a killed run is found by the next."""
        progress = self._session.progress
        progress.say("removing the release's objects")
        for path in self._paths:
            self._session.api.delete(path)
        for item in self._objects.values():
            if item["kind"] in workloads.WITH_PODS:
                wait_for_pods(self._session, workloads.selector(item))
        if self._recorded:
            patiently(self._session.helm.uninstall)
        for item in self._data:
            kept_data.remove(self._session, item)


def _refuse_foreign(session: Session) -> None:
    records = guards.current(session, session.records.statuses())
    options = session.options
    chart = session.helm.chart_metadata()
    ownership.refuse_foreign(records, chart, options.name, options.namespace, removal=True)


def _place(item: Object, namespace: str) -> dict[str, str]:
    return {"kind": item["kind"], "name": item["metadata"]["name"], "namespace": namespace}


def _strays(session: Session) -> list[str]:
    """Name what Helm's marks say belongs to this release although its record is gone."""
    options = session.options
    found = []
    for api_version, kind in STRAYS:
        path = session.discovery.get(api_version, kind).path(options.namespace)
        answer = session.api.request("GET", path, query={"labelSelector": "app.kubernetes.io/managed-by=Helm"})
        owned = [item for item in answer["items"] if is_owned(item, options.name, options.namespace)]
        found += [f"{kind}/{item['metadata']['name']}" for item in owned if not is_kept(item)]
    if not found:
        return []
    return [
        f"Helm has no record of release {options.name}, but these objects carry its name: {', '.join(found)}. "
        "A new deploy takes them over; to remove them, delete them by hand."
    ]


def _wait_for_namespace(session: Session, namespace: Object, *, check_mode: bool) -> None:
    while not check_mode:
        session.progress.say(f"waiting for namespace {session.options.namespace} to be deleted")
        if session.remaining() <= 0:
            raise terminating(namespace)
        time.sleep(PAUSE)
        found = find_namespace(session, allow_terminating=True)
        if found is None:
            return
        namespace = found
