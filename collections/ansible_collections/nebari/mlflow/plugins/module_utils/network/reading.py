# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Read of the cluster what this user may read. What is refused counts as unknown, and stops no deploy."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..errors import ApiError
from ..kube.errors import FORBIDDEN, NOT_FOUND
from .peers import Pod

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..kube.api import Api
    from ..kube.objects import Object

MOST = 200  # pods of one selector that are looked at


class Reading:
    """One look at a cluster."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.refused = False  # whether something was not for this user

    def get(self, path: str, **query: Any) -> Object | None:
        """Read an object or a list; None if there is none, or if this user may not read it."""
        try:
            return self.api.request("GET", path, query=query or None)
        except ApiError as error:
            if error.status not in (FORBIDDEN, NOT_FOUND):
                raise
            self.refused = self.refused or error.status == FORBIDDEN
            return None

    def items(self, path: str, **query: Any) -> list[Object]:
        """Read a list; empty if there is none, or if this user may not read it."""
        found: list[Object] = (self.get(path, **query) or {}).get("items") or []
        return found

    def pods(self, selector: str, namespace: str = "") -> list[Pod]:
        """Read the pods with these labels, in one namespace or in all."""
        scope = f"/namespaces/{namespace}" if namespace else ""
        items = self.items(f"/api/v1{scope}/pods", labelSelector=selector, limit=MOST)
        lasting = [item for item in items if (item.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
        return [Pod.of(item) for item in lasting if not item["metadata"].get("deletionTimestamp")]

    def service(self, namespace: str, name: str) -> Object | None:
        """Return a Service, or None. Raises as `get` does."""
        return self.get(f"/api/v1/namespaces/{quote(namespace, safe='')}/services/{quote(name, safe='')}")

    def slices(self, namespace: str, service: str) -> list[Object]:
        """Read where a Service leads to."""
        path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        return self.items(path, labelSelector=f"kubernetes.io/service-name={service}")


def together(*acts: Callable[[], Any]) -> list[Any]:
    """Do several reads at the same time."""
    with ThreadPoolExecutor(max_workers=len(acts) or 1) as pool:
        return [future.result() for future in [pool.submit(act) for act in acts]]
