# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What goes and what stays when a release is removed, and the waits in between. Other modules do the deleting."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..health import workloads
from . import guards, ownership, rights
from . import kept as kept_data
from .changes import Change, Outcome
from .deletion import wait_for_pods, wait_until_gone
from .manifest import HOOK, Key, annotation, by_key, is_kept, is_owned
from .namespace import find_namespace, is_terminating, terminating
from .rights import Right

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..kube.objects import Object
    from .lease import Lease
    from .session import Session

PAUSE = 0.5  # seconds
STRAYS = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "Job"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "ServiceAccount"),
)


def ensure_begun(session: Session, *, check_mode: bool) -> Outcome:
    """Find what has to go and refuse what is not ours; then hold the Lease for the tasks that delete it."""
    namespace = find_namespace(session, allow_terminating=True)
    if namespace is None:
        return Removal(session).outcome()
    if is_terminating(namespace):
        _wait_for_namespace(session, namespace, check_mode=check_mode)
        return Removal(session).outcome()
    if session.options.chart:
        _refuse_foreign(session)
    lease = session.lease(of_play=True)
    if not check_mode:
        lease.refuse_if_held()
    removal = Removal.of(session)
    if not removal.changes and lease.exists():  # what a killed run left
        removal.changes.append(Change("delete", "Lease", session.options.name, session.options.namespace))
    if check_mode or not removal.changes:
        return removal.outcome()
    rights.require(session, removal.rights, "the removal")
    planned = removal.changes
    with lease:
        session.take_over(lease)
        removal = Removal.of(session)
        removal.changes = removal.changes or planned
        lease.stays = True
    return removal.outcome()


def ensure_stopped(session: Session, *, check_mode: bool) -> Outcome:
    """Wait until the pods of the release have ended, while Helm's record still tells which ones they are."""
    if check_mode:
        return Outcome()
    with _lease_of_play(session) as lease:
        for item in Removal.of(session).recorded:
            if item["kind"] in workloads.WITH_PODS:
                wait_for_pods(session, workloads.selector(item))
        lease.stays = True
    return Outcome()


def ensure_finished(session: Session, *, check_mode: bool) -> Outcome:
    """Wait until the deleted data is gone, and remove the Lease."""
    if check_mode:
        return Outcome()
    with _lease_of_play(session) as lease:
        for item in session.options.gone:
            path = kept_data.path_of(session, item["kind"], item["name"])
            wait_until_gone(session, path, f"{item['kind']}/{item['name']}", uid=item["uid"])
    lease.remove()
    return Outcome()


@contextmanager
def _lease_of_play(session: Session) -> Iterator[Lease]:
    """Go on with the Lease that an earlier task of the play took."""
    lease = session.lease(of_play=True)
    lease.refuse_if_lost()
    with lease:
        session.take_over(lease)
        yield lease


class Removal:
    """What has to go: the objects of every revision, Helm's records, and the data where it was asked."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.changes: list[Change] = []
        self.warnings: list[str] = []
        self.kept: list[dict[str, str]] = []
        self.rights: set[Right] = set()
        self.recorded: list[Object] = []
        self._parts: dict[str, list[Object]] = {"objects": [], "records": [], "data": []}

    @classmethod
    def of(cls, session: Session) -> Removal:
        """Read Helm's records and the live objects. Nothing is written."""
        found, options = cls(session), session.options
        statuses = session.records.statuses()
        chart = session.helm.chart_metadata() if options.chart else None
        objects: dict[Key, Object] = {}
        for revision in statuses:
            record = session.records.read(revision)
            if record is None or (chart and not ownership.is_same_chart(record.chart, chart)):
                continue  # ours came after another chart's, which took its objects with it
            for item in [*record.objects, *record.hooks]:
                objects.setdefault(*by_key([item], options.namespace).popitem())
        for which, item in objects.items():
            found._add_object(which, item)
        found.recorded = list(objects.values())
        found._add_records(list(statuses))
        found._add_data()
        return found

    def outcome(self) -> Outcome:
        """Return it for the module, with the variable by which the next run finds tasks whose play was killed."""
        name, _, value = self._session.helm.mark.partition("=")
        parts = {**self._parts, "environment": {name: value}}
        return Outcome(self.changes, warnings=self.warnings, kept=self.kept, parts=parts)

    def _add_object(self, which: Key, item: Object) -> None:
        session = self._session
        resource = session.discovery.find(item["apiVersion"], item["kind"])
        live = session.api.find(resource.path(which.namespace, which.name)) if resource else None
        if resource is None or live is None or is_kept(live) or live["metadata"].get("deletionTimestamp"):
            return
        options = session.options
        if is_owned(live, options.name, options.namespace) or annotation(live, HOOK):
            namespace = which.namespace if resource.namespaced else ""
            self._parts["objects"].append(_definition(item["apiVersion"], which.kind, which.name, namespace))
            self.rights.add(Right("delete", resource.group, resource.plural, namespace))
            self.changes.append(Change("delete", which.kind, which.name, which.namespace, before=live))

    def _add_records(self, revisions: list[int]) -> None:
        session, options = self._session, self._session.options
        if not revisions:
            self.warnings += _strays(session)
            return
        names = [session.records.secret_name(revision) for revision in revisions]
        self._parts["records"] = [_definition("v1", "Secret", name, options.namespace) for name in names]
        self.rights.add(Right("delete", "", "secrets", options.namespace))
        self.changes.append(Change("delete", "Release", options.name, options.namespace))

    def _add_data(self) -> None:
        session, options = self._session, self._session.options
        found = kept_data.find(session, self.recorded)
        places = [_place(item, options.namespace) for item in found]
        if not options.delete_data:
            self.kept = places
            return
        self._parts["data"] = [
            {**place, "uid": item["metadata"]["uid"]} for place, item in zip(places, found, strict=True)
        ]
        for place in places:
            self.changes.append(Change("delete", place["kind"], place["name"], place["namespace"]))
            plural = "secrets" if place["kind"] == "Secret" else "persistentvolumeclaims"
            self.rights.add(Right("delete", "", plural, options.namespace))
        self.warnings += kept_data.not_ours(session, self.recorded)


def _refuse_foreign(session: Session) -> None:
    records = guards.current(session, session.records.statuses())
    options = session.options
    chart = session.helm.chart_metadata()
    ownership.refuse_foreign(records, chart, options.name, options.namespace, removal=True)


def _definition(api_version: str, kind: str, name: str, namespace: str) -> Object:
    where = {"namespace": namespace} if namespace else {}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **where}}


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
