# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Why a volume claim is not bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .problems import AGAIN, VOLUME, Problem

if TYPE_CHECKING:
    from ..kube.objects import Object

DEFAULT = "storageclass.kubernetes.io/is-default-class"


def of_claim(claim: Object, classes: list[Object] | None, events: list[Object]) -> Problem | None:
    """Judge one claim; `classes` is None when we may not list them, `events` are the recent ones about the claim."""
    if (claim.get("status") or {}).get("phase") != "Pending":
        return None
    name = claim["metadata"]["name"]
    where = f"PersistentVolumeClaim/{name}"
    wanted = claim["spec"].get("storageClassName")
    if classes is not None and not claim["spec"].get("volumeName"):
        names = [item["metadata"]["name"] for item in classes]
        there = f"the cluster has: {', '.join(names)}" if names else "the cluster has none"
        if wanted is None and not any(_is_default(item) for item in classes):
            return Problem(
                where,
                "class",
                "no default StorageClass",
                f"{where} cannot be bound: it names no StorageClass and the cluster has no default one ({there}).",
                f"Set the storage class in the values, or mark one as default "
                f"(kubectl annotate storageclass NAME {DEFAULT}=true); {AGAIN}.",
                grace=8,
                code=VOLUME,
            )
        if wanted and wanted not in names:
            return Problem(
                where,
                "class",
                f"no StorageClass {wanted}",
                f"{where} cannot be bound: there is no StorageClass {wanted!r} ({there}).",
                f"Correct the storage class in the values, or create it; {AGAIN}.",
                grace=8,
                code=VOLUME,
            )
    failed = [event for event in events if event.get("reason") in {"ProvisioningFailed", "FailedBinding"}]
    if failed:
        message = str(failed[-1].get("message") or "")
        cause = f"{where} cannot be bound: {message}."
        fix = f"Remove that cause; {AGAIN}."
        return Problem(where, "provisioning", "volume not provisioned", cause, fix, grace=40, code=VOLUME)
    return Problem(where, "claim", "waits for its volume")


def _is_default(storage_class: Object) -> bool:
    annotations = storage_class["metadata"].get("annotations") or {}
    return annotations.get(DEFAULT) == "true"
