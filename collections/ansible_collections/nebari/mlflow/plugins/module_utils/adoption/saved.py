# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Keep what only the old release knows, before the first of its objects goes: Helm's record and the Secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ForeignObject
from ..release.changes import Change
from .old import HELM_KEY, names

if TYPE_CHECKING:
    from ..kube.objects import Object
    from ..release.session import Session
    from .old import Old


def ensure_saved(session: Session, old: Old, *, check_mode: bool) -> list[Change]:
    """Create the Secret that keeps them. What it holds is never replaced by less.

    Raises ForeignObject if another Secret has its name.
    """
    options = session.options
    if not old.installed:
        return []
    folder = f"/api/v1/namespaces/{options.namespace}/secrets"
    name = names(options.name)["secret"]
    data = {HELM_KEY: session.api.request("GET", f"{folder}/{old.records[0]['metadata']['name']}")["data"]["release"]}
    for item in old.objects:
        if item["kind"] == "Secret":
            live = session.api.find(f"{folder}/{item['metadata']['name']}")
            data.update({f"{item['metadata']['name']}.{key}": value for key, value in _data(live).items()})
    there = session.api.find(f"{folder}/{name}")
    if (
        there is not None
        and (there["metadata"].get("labels") or {}).get("mlflow.nebari.dev/old-release") != options.name
    ):
        raise ForeignObject(
            f"Secret/{name} in namespace {options.namespace} exists and was not created by an adoption. "
            "Nothing was changed.",
            f"Rename it or delete it: kubectl --namespace {options.namespace} delete secret {name}",
        )
    added = {key: value for key, value in data.items() if key not in _data(there)}
    if not added:
        return []
    fields = tuple(f"data.{key}" for key in sorted(added))
    change = Change("update" if there else "create", "Secret", name, options.namespace, fields)
    if check_mode:
        return [change]
    if there is None:
        metadata = {"name": name, "labels": {"mlflow.nebari.dev/old-release": options.name}}
        body: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}
        session.api.request("POST", folder, body=body)
    else:
        patch = {"data": added}
        session.api.request("PATCH", f"{folder}/{name}", body=patch, content_type="application/merge-patch+json")
    return [change]


def _data(secret: Object | None) -> dict[str, str]:
    return (secret or {}).get("data") or {}
