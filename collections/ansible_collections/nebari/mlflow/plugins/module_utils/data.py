# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""A release's data: its volume claims and the Secrets that were generated for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import secrets
from .deletion import delete_and_wait
from .manifest import is_owned
from .options import INSTANCE

if TYPE_CHECKING:
    from .manifest import Object
    from .session import Session


def find(session: Session, objects: list[Object]) -> list[Object]:
    """The claims of the release and the named Secrets that this module made; `objects` is the release's manifest."""
    options = session.options
    claims = session.api.request("GET", _folder(session, "persistentvolumeclaims"))["items"]
    patterns = [re.compile(pattern) for item in objects for pattern in _claim_names(item)]
    found: list[Object] = []
    for claim in claims:
        labelled = (claim["metadata"].get("labels") or {}).get(INSTANCE) == options.name
        named = any(pattern.fullmatch(claim["metadata"]["name"]) for pattern in patterns)
        if labelled or named or is_owned(claim, options.name, options.namespace):
            found.append({**claim, "kind": "PersistentVolumeClaim"})
    return found + [live for live in _secrets(session) if secrets.is_ours(live, options.name)]


def not_ours(session: Session) -> list[str]:
    """Warnings for named Secrets that somebody made by hand."""
    return [
        f"Secret/{live['metadata']['name']} was not made by this module and is left in place."
        for live in _secrets(session)
        if not secrets.is_ours(live, session.options.name)
    ]


def remove(session: Session, item: Object) -> None:
    """Delete one object and wait until it is really gone: a claim is held until its last pod has ended."""
    plural = "secrets" if item["kind"] == "Secret" else "persistentvolumeclaims"
    path = f"{_folder(session, plural)}/{item['metadata']['name']}"
    delete_and_wait(session, path, f"{item['kind']}/{item['metadata']['name']}", uid=item["metadata"]["uid"])


def _secrets(session: Session) -> list[Object]:
    found = (session.api.find(f"{_folder(session, 'secrets')}/{spec.name}") for spec in session.options.secrets)
    return [{**live, "kind": "Secret"} for live in found if live is not None]


def _folder(session: Session, plural: str) -> str:
    return f"/api/v1/namespaces/{session.options.namespace}/{plural}"


def _claim_names(item: Object) -> list[str]:
    """How a StatefulSet names the claims that it makes."""
    if item["kind"] != "StatefulSet":
        return []
    templates = item["spec"].get("volumeClaimTemplates") or []
    owner = re.escape(item["metadata"]["name"])
    return [rf"{re.escape(template['metadata']['name'])}-{owner}-\d+" for template in templates]
