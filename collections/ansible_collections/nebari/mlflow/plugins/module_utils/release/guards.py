# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Refuse to deploy over what is not the release's own, and beside data whose Secrets are gone. Nothing here writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import ownership, secrets
from .options import INSTANCE, RELEASE
from .ownership import NAME
from .record import DEPLOYED, Record
from .volumes import is_bound

if TYPE_CHECKING:
    from ..kube.objects import Object
    from .comparison import Comparison
    from .options import SecretSpec
    from .session import Session


def current(session: Session, statuses: dict[int, str]) -> list[Record]:
    """Return the records since the last good one, newest first: what Helm and a deploy build upon."""
    found = []
    for revision, status in statuses.items():
        record = session.records.read(revision)
        if record is not None:
            found.append(record)
        if status == DEPLOYED:
            break
    return found


def refuse(session: Session, records: list[Record], chart: Object) -> dict[str, Object | None]:
    """Raise for another chart's release, claims and Secrets, and for lost Secrets. Return the Secrets as they are."""
    options = session.options
    ownership.refuse_foreign(records, chart, options.name, options.namespace, removal=False)
    found = secrets_of(session)
    claims = _claims_of(session)
    expected = {INSTANCE: options.name, NAME: str(chart.get("name", ""))}
    for claim in claims.values():
        if claim is not None and not records:  # a release that exists has long been writing to its claim
            ownership.refuse_claim(claim, expected, options.namespace, complete=False)
    _refuse_lost(session, found, claims, records)
    return found


def secrets_of(session: Session) -> dict[str, Object | None]:
    """Return the live Secrets of the options by name; None for one that is missing."""
    return {spec.name: _find(session, "secrets", spec.name) for spec in session.options.secrets}


def refuse_lost(session: Session, found: dict[str, Object | None]) -> None:
    """Raise for Secrets of another release, and for lost ones whose data exist."""
    _refuse_lost(session, found, _claims_of(session), current(session, session.records.statuses()))


def _claims_of(session: Session) -> dict[str, Object | None]:
    names = [spec.claim for spec in session.options.secrets if spec.claim]
    return {name: _find(session, "persistentvolumeclaims", name) for name in names}


def _refuse_lost(
    session: Session,
    found: dict[str, Object | None],
    claims: dict[str, Object | None],
    records: list[Record],
) -> None:
    options = session.options
    for spec in options.secrets:
        secrets.refuse_foreign(found[spec.name], options.namespace)
        secrets.refuse_loss(spec, found[spec.name], _opened(spec, claims, records, options.name), options)


def refuse_claims(session: Session, comparisons: list[Comparison]) -> None:
    """Raise when a new StatefulSet would adopt a claim that is not its own."""
    namespace = session.options.namespace
    for found in comparisons:
        if found.key.kind != "StatefulSet" or found.live is not None:
            continue
        for template, expected in ownership.claim_labels(found.item).items():
            for ordinal in range(int(found.item["spec"].get("replicas", 1))):
                claim = _find(session, "persistentvolumeclaims", f"{template}-{found.key.name}-{ordinal}")
                if claim is not None:
                    ownership.refuse_claim(claim, expected, namespace, complete=True)


def unused(session: Session, found: dict[str, Object | None]) -> list[str]:
    """Warnings for `new_secrets` that ask for nothing any more: the next loss would not stop a deploy."""
    specs = {spec.name: spec for spec in session.options.secrets}
    return [
        f"new_secrets names {name}, which is complete. Remove that setting; otherwise the next loss stops no deploy."
        for name in session.options.new_secrets
        if not secrets.missing(specs[name], found.get(name))
    ]


def _opened(spec: SecretSpec, claims: dict[str, Object | None], records: list[Record], name: str) -> str:
    """Name the data that the Secret opens, if there is any; a claim that was never bound holds none."""
    if spec.opens == RELEASE:
        return f"the Helm release {name}" if records else ""
    claim = claims.get(spec.claim)
    return f"PersistentVolumeClaim/{spec.claim}" if claim is not None and is_bound(claim) else ""


def _find(session: Session, plural: str, name: str) -> Object | None:
    return session.api.find(f"/api/v1/namespaces/{session.options.namespace}/{plural}/{name}")
