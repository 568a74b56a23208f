# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where the API serves each kind of object."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..errors import KindMissing
from .errors import NotFoundError

if TYPE_CHECKING:
    from .api import Api

BUILT_IN = frozenset(
    f"{name}.k8s.io"
    for name in (
        "admissionregistration",
        "apiextensions",
        "apiregistration",
        "certificates",
        "coordination",
        "discovery",
        "events",
        "flowcontrol.apiserver",
        "networking",
        "node",
        "rbac.authorization",
        "resource",
        "scheduling",
        "storage",
    )
)  # other groups under k8s.io, such as gateway.networking.k8s.io, are custom resources


@dataclass(frozen=True)
class Resource:
    """One kind as the API serves it."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def group(self) -> str:
        """Return the API group; "" for the core one."""
        return self.api_version.rpartition("/")[0]

    @property
    def built_in(self) -> bool:
        """Say if the API server itself defines the kind, and so takes a strategic merge patch."""
        return "." not in self.group or self.group in BUILT_IN

    def path(self, namespace: str | None, name: str = "") -> str:
        """Return the path of an object or, without a name, of the collection."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")


class Discovery:
    """Look up kinds, asking the API once for each group and version."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[str, dict[str, Resource]] = {}
        self._lock = Lock()

    def find(self, api_version: str, kind: str) -> Resource | None:
        """Return the resource of a kind, or None. Each API version is asked for once."""
        with self._lock:
            if api_version not in self._known:
                self._known[api_version] = self._ask(api_version)
            return self._known[api_version].get(kind)

    def get(self, api_version: str, kind: str) -> Resource:
        """Return the resource of a kind. Raises KindMissing."""
        resource = self.find(api_version, kind)
        if resource is None:
            raise KindMissing(
                f"The cluster does not serve {kind} of {api_version}, which the chart wants to create.",
                "Install what provides it (its CustomResourceDefinition), or switch that part of the chart off.",
            )
        return resource

    def path(self, item: dict[str, Any], namespace: str) -> str:
        """Return the path of an object of the manifest; without a namespace of its own it is in the release's."""
        metadata = item["metadata"]
        resource = self.get(item["apiVersion"], item["kind"])
        return resource.path(metadata.get("namespace") or namespace, metadata["name"])

    def _ask(self, api_version: str) -> dict[str, Resource]:
        try:
            answer = self._api.request("GET", f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}")
        except NotFoundError:
            return {}
        return {
            entry["kind"]: Resource(api_version, entry["kind"], entry["name"], entry["namespaced"])
            for entry in answer["resources"]
            if "/" not in entry["name"]
        }
