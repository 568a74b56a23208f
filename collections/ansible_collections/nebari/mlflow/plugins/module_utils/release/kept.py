# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""A release's data: its volume claims and the Secrets that were generated for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import ownership, secrets
from .manifest import is_owned
from .options import INSTANCE

if TYPE_CHECKING:
    from ..kube.objects import Object
    from .session import Session


def find(session: Session, objects: list[Object]) -> list[Object]:
    """Return the release's claims and the named Secrets that this module made; `objects` is the manifest."""
    ours = [claim for claim in _claims(session) if _is_ours(session, claim, objects)]
    return ours + [live for live in _secrets(session) if secrets.is_ours(live, session.options.name)]


def not_ours(session: Session, objects: list[Object]) -> list[str]:
    """Warnings for claims that have the release's name but not its marks, and for Secrets that someone made by hand."""
    name = session.options.name
    claims = [claim for claim in _claims(session) if not _is_ours(session, claim, objects)]
    others = [claim for claim in claims if (claim["metadata"].get("labels") or {}).get(INSTANCE) == name]
    others += [live for live in _secrets(session) if not secrets.is_ours(live, name)]
    return [
        f"{item['kind']}/{item['metadata']['name']} was not made by this module and is left in place."
        for item in others
    ]


def path_of(session: Session, kind: str, name: str) -> str:
    """Return the API path of a claim or a Secret of the release's namespace."""
    return f"{_folder(session, 'secrets' if kind == 'Secret' else 'persistentvolumeclaims')}/{name}"


def _is_ours(session: Session, claim: Object, objects: list[Object]) -> bool:
    """Whether a claim is of the release's manifest, or what an earlier release of its chart left."""
    name, options = claim["metadata"]["name"], session.options
    for item in objects:
        if item["kind"] == "PersistentVolumeClaim" and item["metadata"]["name"] == name:
            return is_owned(claim, options.name, options.namespace)
        for pattern, labels in _templates(item):
            if pattern.fullmatch(name):
                return not ownership.unlike(claim, labels, complete=False)
    chart = str(session.helm.chart_metadata().get("name", "")) if options.chart else ""
    return bool(chart) and ownership.is_left_over(claim, options.name, chart)


def _claims(session: Session) -> list[Object]:
    found = session.api.request("GET", _folder(session, "persistentvolumeclaims"))["items"]
    return [{**claim, "kind": "PersistentVolumeClaim"} for claim in found]


def _secrets(session: Session) -> list[Object]:
    found = (session.api.find(f"{_folder(session, 'secrets')}/{spec.name}") for spec in session.options.secrets)
    return [{**live, "kind": "Secret"} for live in found if live is not None]


def _folder(session: Session, plural: str) -> str:
    return f"/api/v1/namespaces/{session.options.namespace}/{plural}"


def _templates(item: Object) -> list[tuple[re.Pattern[str], dict[str, str]]]:
    """How a StatefulSet names and labels the claims that it makes."""
    if item["kind"] != "StatefulSet":
        return []
    owner = re.escape(item["metadata"]["name"])
    found = ownership.claim_labels(item).items()
    return [(re.compile(rf"{re.escape(template)}-{owner}-\d+"), labels) for template, labels in found]
