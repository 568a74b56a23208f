# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Refuse storage and priority classes that the cluster does not have: no pod would ever start. Nothing here writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ApiError, NeverReady
from ..health.problems import AGAIN, ROOM
from ..health.volume_claims import of_claim
from .manifest import tests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..kube.objects import Object
    from .comparison import Comparison
    from .session import Session

STORAGE = "/apis/storage.k8s.io/v1/storageclasses"
PRIORITY = "/apis/scheduling.k8s.io/v1/priorityclasses"
VOLUMES = "/api/v1/persistentvolumes"


def refuse_missing(session: Session, comparisons: list[Comparison], hooks: list[Object]) -> None:
    """Raise for a new claim or pod whose class does not exist. Without the right to look, do nothing."""
    claims = list(_new_claims(session, comparisons))
    if claims:
        _refuse_storage(session, claims)
    pods = [found.item["spec"]["template"]["spec"] for found in comparisons if _makes_pods(found)]
    pods += [item["spec"] for item in tests(hooks) if item["kind"] == "Pod"] if pods else []
    if wanted := sorted({str(pod["priorityClassName"]) for pod in pods if pod.get("priorityClassName")}):
        _refuse_priority(session, wanted)


def _makes_pods(found: Comparison) -> bool:
    return found.differs and "template" in (found.item.get("spec") or {})


def _new_claims(session: Session, comparisons: list[Comparison]) -> Iterator[Object]:
    namespace = session.options.namespace
    for found in comparisons:
        if found.live is not None:
            continue
        if found.key.kind == "PersistentVolumeClaim":
            yield found.item
        elif found.key.kind == "StatefulSet":
            for template in found.item["spec"].get("volumeClaimTemplates") or []:
                name = f"{template['metadata']['name']}-{found.key.name}-0"
                if session.api.find(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}") is None:
                    yield {"metadata": {"name": name}, "spec": template["spec"]}


def _refuse_storage(session: Session, claims: list[Object]) -> None:
    classes = _list(session, STORAGE)
    for claim in claims:
        wanted = claim["spec"].get("storageClassName")
        problem = of_claim({**claim, "status": {"phase": "Pending"}}, classes, [])
        if wanted == "" or problem is None or problem.kind != "class":
            continue
        volumes = _list(session, VOLUMES)  # one that was made by hand needs no object of its class
        if volumes is not None and not any(_fits(volume, wanted) for volume in volumes):
            raise problem.error()


def _fits(volume: Object, wanted: str | None) -> bool:
    is_free = (volume.get("status") or {}).get("phase") == "Available"
    return is_free and (volume["spec"].get("storageClassName") or "") == (wanted or "")


def _refuse_priority(session: Session, wanted: list[str]) -> None:
    classes = _list(session, PRIORITY)
    if classes is None:
        return
    names = [item["metadata"]["name"] for item in classes]
    for name in wanted:
        if name not in names:
            raise NeverReady(
                f"There is no PriorityClass {name!r} (the cluster has: {', '.join(names)}). Nothing was changed.",
                f"Correct priorityClassName in the values, or create it; {AGAIN}.",
                ROOM,
            )


def _list(session: Session, path: str) -> list[Any] | None:
    """Return the objects of a kind, None when we may not see them."""
    try:
        found: list[Any] = session.api.request("GET", path)["items"]
    except ApiError:
        return None
    return found
