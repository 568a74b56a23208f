# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Replace generated values in three steps, between which pods know two values of each: the Secret itself says how far.

`announced`: a key `other.NAME` holds the next value. `swapped`: NAME holds the new one, and `other.NAME` the one
before. Then nothing needs the former value any more, and the mark and the other values go. Each step is one write, so a
run that was killed is carried on by the next one.
"""

from __future__ import annotations

import base64
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import ApiError, ForeignObject, LostSecret, ReleaseError
from ..kube.api import MERGE
from . import guards, restarts, tested
from .changes import Change, Outcome
from .comparison import Comparison
from .manifest import HIDDEN, annotation, key
from .secrets import CONFLICT, GENERATORS, is_ours, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..kube.objects import Object
    from .lease import Lease
    from .options import SecretSpec
    from .session import Session

ROTATION = "mlflow.nebari.dev/rotation"
ROTATED = "mlflow.nebari.dev/rotated-at"
OTHER = "other."
ANNOUNCED, SWAPPED, FINISHED = "announced", "swapped", "finished"


@dataclass(frozen=True)
class Written:
    """What one step writes into a Secret; None removes a key or an annotation."""

    data: dict[str, str | None] = field(default_factory=dict)
    annotations: dict[str, str | None] = field(default_factory=dict)


def state_of(live: Object) -> str:
    """How far a rotation has come; "" without one."""
    return annotation(live, ROTATION)


def announced(spec: SecretSpec, live: Object) -> Written | None:
    """Generate the next values of the keys that workloads know twice."""
    wanted = [name for name in spec.both if not live["data"].get(OTHER + name)]
    if state_of(live) == SWAPPED or (state_of(live) == ANNOUNCED and not wanted):
        return None
    return Written({OTHER + name: _generated(spec, name) for name in wanted}, {ROTATION: ANNOUNCED})


def swapped(spec: SecretSpec, live: Object) -> Written | None:
    """Put the next values in the place of the present ones. A key that is known once gets its new value here."""
    if state_of(live) != ANNOUNCED:
        return None
    data: dict[str, str | None] = {}
    for name in spec.keys:
        data[name] = live["data"][OTHER + name] if name in spec.both else _generated(spec, name)
    return Written(data | {OTHER + name: live["data"][name] for name in spec.both}, {ROTATION: SWAPPED})


def finished(spec: SecretSpec, live: Object) -> Written | None:
    """Forget the former values."""
    if state_of(live) != SWAPPED:
        return None
    return Written(dict.fromkeys(OTHER + name for name in spec.both), {ROTATION: None})


STEPS: dict[str, Callable[[SecretSpec, Object], Written | None]] = {
    ANNOUNCED: announced,
    SWAPPED: swapped,
    FINISHED: finished,
}


def _generated(spec: SecretSpec, name: str) -> str:
    return base64.b64encode(GENERATORS[spec.keys[name]]().encode()).decode()


def ensure_rotated(session: Session, *, check_mode: bool) -> Outcome:
    """Take every Secret one step further, all of them or none: what is refused is refused before the first write."""
    found = guards.secrets_of(session)
    of_release = live_workloads(session)
    for spec in session.options.secrets:
        refuse(session, spec, found[spec.name], of_release)
    if check_mode:
        return Outcome(_predicted(session, found))
    changes = []
    with turn(session) as lease:
        for spec in session.options.secrets:
            lease.check()
            changes += _step(session, spec, of_release)
    return Outcome(changes)


@contextmanager
def turn(session: Session) -> Iterator[Lease]:
    """Hold the Lease from the first step to the last one, over all tasks of the play."""
    lease = session.lease(of_play=True)
    if session.options.state == FINISHED:
        lease.refuse_if_lost()
    with lease:
        session.take_over(lease)
        yield lease
        lease.stays = session.options.state != FINISHED


def _step(session: Session, spec: SecretSpec, of_release: list[Comparison]) -> list[Change]:
    path = f"/api/v1/namespaces/{session.options.namespace}/secrets/{spec.name}"
    live = session.api.request("GET", path)
    now = session.api.now().strftime(restarts.STAMP)
    wanted = STEPS[session.options.state](spec, live)
    if wanted is None:
        return []
    marks = {**wanted.annotations, **({ROTATED: now} if session.options.state == FINISHED else {})}
    metadata = {"resourceVersion": live["metadata"]["resourceVersion"], "annotations": marks}
    try:
        body = {"metadata": metadata, "data": wanted.data}
        written = session.api.request("PATCH", path, body=body, content_type=MERGE)
    except ApiError as error:
        if error.status != CONFLICT:
            raise
        return _step(session, spec, of_release)  # the next step of what it is now
    users = restarts.users(of_release, spec.name)
    if session.options.state == SWAPPED:
        _refresh_volumes(session, users, now)
    if session.options.state == FINISHED:
        _inform(session, users, max(now, restarts.changed_at(written)))
    return [_change(session, spec, live, wanted)]


def _change(session: Session, spec: SecretSpec, live: Object, wanted: Written) -> Change:
    there = set(live["data"])
    after = (there | set(wanted.data)) - {name for name, value in wanted.data.items() if value is None}
    shown = ({"data": dict.fromkeys(sorted(names), HIDDEN)} for names in (there, after))
    fields = tuple(f"data.{name}" for name in wanted.data)
    return Change("update", "Secret", spec.name, session.options.namespace, fields, *shown)


def _predicted(session: Session, found: dict[str, Object | None]) -> list[Change]:
    """What the step would change after the steps before it."""
    changes = []
    for spec in session.options.secrets:
        live: Any = found[spec.name]
        for state, step in STEPS.items():
            wanted = step(spec, live)
            if wanted is not None and state == session.options.state:
                changes.append(_change(session, spec, live, wanted))
            if wanted is not None:
                live = _after(live, wanted)
            if state == session.options.state:
                break
    return changes


def _after(live: Object, wanted: Written) -> Object:
    data = {**live["data"], **wanted.data}
    marks = {**(live["metadata"].get("annotations") or {}), **wanted.annotations}
    kept = {name: value for name, value in data.items() if value is not None}
    told = {name: value for name, value in marks.items() if value is not None}
    return {**live, "data": kept, "metadata": {**live["metadata"], "annotations": told}}


def live_workloads(session: Session) -> list[Comparison]:
    """The Deployments, StatefulSets and DaemonSets of the newest revision that are there."""
    record = tested.newest(session)
    if record is None:
        raise ReleaseError(
            f"There is no Helm release {session.options.name} in namespace {session.options.namespace}.",
            "Deploy it first.",
        )
    found = []
    for item in record.objects:
        if item["kind"] in restarts.KINDS:
            live = session.api.find(session.discovery.path(item, session.options.namespace))
            if live is not None:
                found.append(Comparison(key(item, session.options.namespace), item, live, live))
    return found


def refuse(session: Session, spec: SecretSpec, live: Object | None, of_release: list[Comparison]) -> None:
    """Raise for a Secret that is not ours to change, and for a release that does not know two values."""
    where = f"Secret/{spec.name} in namespace {session.options.namespace}"
    if live is None or missing(spec, live):
        raise LostSecret(
            f"{where} is missing or incomplete. Nothing was changed.",
            "Deploy, which generates it or says how to put it back: nebari-mlflow deploy.",
        )
    users = restarts.users(of_release, spec.name)
    if not is_ours(live, session.options.name) or live.get("immutable") or not users:
        raise ForeignObject(
            f"{where} is not one that this release generated and uses, so its values belong to others. "
            "Nothing was changed.",
            "Change them where they come from, then deploy: what uses the Secret restarts.",
        )
    if spec.both and not any(_knows_two(found.live, spec) for found in users):
        raise ReleaseError(
            f"The release {session.options.name} was deployed by a version that cannot rotate {spec.name} without "
            "failures. Nothing was changed.",
            "Deploy with this version first: nebari-mlflow deploy.",
        )


def _knows_two(live: Any, spec: SecretSpec) -> bool:
    pod = live["spec"]["template"]["spec"]
    named = [
        env.get("valueFrom", {}).get("secretKeyRef") or {} for c in pod["containers"] for env in c.get("env") or []
    ]
    wanted = {OTHER + name for name in spec.both}
    return any(each.get("name") == spec.name and each.get("key") in wanted for each in named)


def _refresh_volumes(session: Session, users: list[Comparison], now: str) -> None:
    """Have the kubelet renew mounted Secrets at once, which it does when a pod changes, and otherwise once a minute.

    PostgreSQL takes the passwords of its volume when it starts.
    """
    folder = f"/api/v1/namespaces/{session.options.namespace}/pods"
    for found in users:
        if found.key.kind not in restarts.FIRST or found.live is None:
            continue
        for pod in restarts.pods(session, found):
            body = {"metadata": {"annotations": {restarts.INFORMED: now}}}
            with suppress(ApiError):  # a user who may not change pods waits for the minute
                session.api.request("PATCH", f"{folder}/{pod['metadata']['name']}", body=body, content_type=MERGE)


def _inform(session: Session, users: list[Comparison], when: str) -> None:
    """Note that the workloads know the values already: nobody has to restart them."""
    for found in users:
        body = {"metadata": {"annotations": {restarts.INFORMED: when}}}
        path = session.discovery.path(found.item, session.options.namespace)
        session.api.request("PATCH", path, body=body, content_type=MERGE)
