# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Rendered objects: reading them, telling them apart, and what they look like once Helm has applied them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

import yaml

from .options import MANAGED_BY

if TYPE_CHECKING:
    from ..kube.objects import Object

HOOK = "helm.sh/hook"
POLICY = "helm.sh/resource-policy"
RELEASE_NAME = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
HIDDEN = "(hidden)"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Key(NamedTuple):
    """What makes two manifests speak of the same object, whatever version of its API they use."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def parse(text: str) -> list[Object]:
    """Read a stream of YAML documents; Lists are unpacked, empty documents left out."""
    objects: list[Object] = []
    for document in yaml.load_all(text, Loader=_Loader):
        if isinstance(document, dict):
            items = document.get("items") if str(document.get("kind")) == "List" else None
            objects.extend(items if items is not None else [document])
    return objects


def key(item: Object, namespace: str) -> Key:
    """Return what identifies an object; `namespace` is used if it names none."""
    metadata = item["metadata"]
    group = item["apiVersion"].rpartition("/")[0]
    return Key(group, item["kind"], metadata.get("namespace") or namespace, metadata["name"])


def by_key(objects: list[Object], namespace: str) -> dict[Key, Object]:
    """Return the objects by what identifies them."""
    return {key(item, namespace): item for item in objects}


def annotation(item: Object, name: str) -> str:
    """Return an annotation's value; "" without it."""
    return str(((item.get("metadata") or {}).get("annotations") or {}).get(name, ""))


def split(objects: list[Object]) -> tuple[list[Object], list[Object]]:
    """Separate a release's own objects from its hooks, which Helm makes and removes at other times."""
    return [o for o in objects if not annotation(o, HOOK)], [o for o in objects if annotation(o, HOOK)]


def tests(hooks: list[Object]) -> list[Object]:
    """Those hooks that `helm test` runs."""
    return [hook for hook in hooks if "test" in annotation(hook, HOOK)]


def is_kept(item: Object) -> bool:
    """Say if Helm's annotation keeps the object on uninstall."""
    return annotation(item, POLICY) == "keep"


def is_owned(item: Object, name: str, namespace: str) -> bool:
    """Say if Helm's own marks say that a live object belongs to this release."""
    return annotation(item, RELEASE_NAME) == name and annotation(item, RELEASE_NAMESPACE) == namespace


def as_applied(item: Object, name: str, namespace: str) -> Object:
    """Return the object with the marks that Helm adds to everything it applies."""
    applied = copy.deepcopy(item)
    metadata = applied["metadata"]
    metadata["labels"] = {**(metadata.get("labels") or {}), MANAGED_BY: "Helm"}
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        RELEASE_NAME: name,
        RELEASE_NAMESPACE: namespace,
    }
    return applied


def clean(item: Object) -> Object:
    """Leave out what the API server writes by itself, so that two readings can be compared."""
    kept = {field: value for field, value in item.items() if field != "status"}
    noise = {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"}
    if "metadata" in item:
        kept["metadata"] = {field: value for field, value in item["metadata"].items() if field not in noise}
    return kept


def masked(item: Object) -> Object:
    """Hide the values of a Secret; its keys stay readable."""
    if item.get("kind") != "Secret":
        return item
    hidden = {part: dict.fromkeys(item[part], HIDDEN) for part in ("data", "stringData") if item.get(part)}
    return {**item, **hidden}
