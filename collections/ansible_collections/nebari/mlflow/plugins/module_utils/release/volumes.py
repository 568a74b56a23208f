# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Changes to volume claims: anything while a claim is unbound, only larger once it holds data."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..errors import ApiError, ReleaseError
from ..health import workloads
from ..kube.api import MERGE
from .changes import Change, Step
from .deletion import delete_and_wait, wait_for_pods

if TYPE_CHECKING:
    from ..kube.objects import Object
    from .comparison import Comparison
    from .session import Session

KIND = "PersistentVolumeClaim"
QUANTITY = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>[a-zA-Z]*)")
UNITS = {"": Decimal(1), "m": Decimal("0.001")}
UNITS |= {letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", 1)}
UNITS |= {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)}


def size(text: object) -> Decimal:
    """Return a Kubernetes quantity as a number of bytes. Raises ReleaseError for any other text."""
    match = QUANTITY.fullmatch(str(text))
    if not match or match["unit"] not in UNITS:
        raise ReleaseError(f"{text!r} is not a Kubernetes quantity.", "Write it like 20Gi.")
    return Decimal(match["number"]) * UNITS[match["unit"]]


def differences(wanted: Object, live: Object) -> list[str]:
    """In what a claim differs from the one asked for, as parts of a sentence; what is not asked may be anything."""
    found = []
    asked, there = wanted.get("storageClassName"), live.get("storageClassName")
    if asked is not None and asked != there:
        found.append(f"its storage class from {there!r} to {asked!r}")
    if wanted.get("accessModes") and wanted["accessModes"] != live.get("accessModes"):
        found.append(f"its access mode from {', '.join(live['accessModes'])} to {', '.join(wanted['accessModes'])}")
    if size(_request(wanted)) < size(_request(live)):
        found.append(f"its size from {_request(live)} down to {_request(wanted)}")
    return found


def for_claim(session: Session, found: Comparison, live: Object) -> list[Step]:
    """Replace a claim that is not bound yet; its pods wait for one of that name.

    Raises ReleaseError for a claim that is bound.
    """
    where = str(found.key)
    if is_bound(live):
        raise _refuse(session, where, found.item["spec"], live["spec"], found.refused)
    path = session.discovery.path(found.item, session.options.namespace)
    return [Step(lambda: delete_and_wait(session, path, where, uid=live["metadata"]["uid"]))]


def for_stateful_set(session: Session, found: Comparison, live: Object) -> list[Step]:
    """Recreate a StatefulSet whose claim templates differ. Its pods live on, unless their claims are not bound."""
    old = {template["metadata"]["name"]: template["spec"] for template in _templates(live)}
    wanted = {template["metadata"]["name"]: template["spec"] for template in _templates(found.item)}
    changed = {name: spec for name, spec in wanted.items() if name not in old or _differs(spec, old[name])}
    if not changed and old.keys() == wanted.keys():
        return []
    steps: list[Step] = []
    unbound = False
    for template, spec in changed.items():
        for ordinal in range(int(live["spec"].get("replicas", 1))):
            path = f"{_folder(session)}/{template}-{found.key.name}-{ordinal}"
            claim = session.api.find(path)
            if claim is None:
                continue
            if is_bound(claim):
                steps += _grow(session, path, claim, spec)
            else:
                unbound = True
                steps.append(_discard(session, path, claim))
    return [_recreate(session, found, live, keep_pods=not unbound), *steps]


def is_bound(claim: Object) -> bool:
    """Say if a claim has its volume."""
    return (claim.get("status") or {}).get("phase") != "Pending"


def _recreate(session: Session, found: Comparison, live: Object, *, keep_pods: bool) -> Step:
    path = session.discovery.path(found.item, session.options.namespace)
    where, uid, selector = str(found.key), live["metadata"]["uid"], workloads.selector(live)

    def do() -> None:
        if keep_pods:
            session.api.delete(path, "Orphan", {"preconditions": {"uid": uid}})
        delete_and_wait(session, path, where, uid=uid)
        if not keep_pods:
            wait_for_pods(session, selector)

    return Step(do)


def _discard(session: Session, path: str, claim: Object) -> Step:
    name = claim["metadata"]["name"]
    gone = Change("delete", KIND, name, session.options.namespace, before=claim)
    return Step(lambda: delete_and_wait(session, path, f"{KIND}/{name}", uid=claim["metadata"]["uid"]), (gone,))


def _grow(session: Session, path: str, claim: Object, wanted: Object) -> list[Step]:
    """Enlarge a bound claim by itself: a template only counts for new ones."""
    where = f"{KIND}/{claim['metadata']['name']}"
    if differences(wanted, claim["spec"]):
        raise _refuse(session, where, wanted, claim["spec"], None)
    if size(_request(wanted)) == size(_request(claim["spec"])):
        return []
    body = {"spec": {"resources": {"requests": {"storage": _request(wanted)}}}}

    def resize(dry_run: dict[str, str]) -> Object:
        return session.api.request("PATCH", path, query=dry_run, body=body, content_type=MERGE)

    try:
        after = resize({"dryRun": "All"})
    except ApiError as error:
        raise _refuse(session, where, wanted, claim["spec"], error) from error
    fields = ("spec.resources.requests.storage",)
    grown = Change("update", KIND, claim["metadata"]["name"], session.options.namespace, fields, claim, after)
    return [Step(lambda: resize({}), (grown,))]


def _refuse(session: Session, where: str, wanted: Object, live: Object, error: ApiError | None) -> ReleaseError:
    different = differences(wanted, live)
    if different:
        return ReleaseError(
            f"{where} in namespace {session.options.namespace} holds data, and cannot change "
            f"{' and '.join(different)}. Nothing was changed.",
            "Set it back in the values. To move the data, back it up, and restore it into a new deployment.",
        )
    if size(_request(wanted)) == size(_request(live)):
        return ReleaseError(
            f"{where} in namespace {session.options.namespace} holds data on storage class "
            f"{live.get('storageClassName')!r}, which the values no longer name. Nothing was changed.",
            "Name it in the values again.",
        )
    reason = error.message.partition("forbidden: ")[2] or error.message if error else ""
    return ReleaseError(
        f"{where} in namespace {session.options.namespace} cannot grow from {_request(live)} to {_request(wanted)}: "
        f"{reason or 'refused'}. Nothing was changed.",
        f"Set the size back, or let its StorageClass {live.get('storageClassName')!r} expand volumes "
        "(allowVolumeExpansion: true, if its provisioner can).",
    )


def _differs(wanted: Object, live: Object) -> bool:
    """Whether a template would make other claims. Unlike in a claim, no class in it means the default one."""
    classes = wanted.get("storageClassName"), live.get("storageClassName")
    return bool(differences(wanted, live)) or classes[0] != classes[1] or size(_request(wanted)) != size(_request(live))


def _request(spec: Object) -> Any:
    return ((spec.get("resources") or {}).get("requests") or {}).get("storage", "0")


def _templates(item: Object) -> list[Object]:
    return item["spec"].get("volumeClaimTemplates") or []


def _folder(session: Session) -> str:
    return f"/api/v1/namespaces/{session.options.namespace}/persistentvolumeclaims"
