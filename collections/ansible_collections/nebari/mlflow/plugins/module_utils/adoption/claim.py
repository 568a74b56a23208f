# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Give a volume another claim. The volume outlives every step, and each step starts from what is there.

Kubernetes cannot rename a claim. So the volume is set to outlive its claim, and notes what becomes of it. Then the old
claim goes, the volume is reserved for the new claim, the new claim is created, and the volume's policy comes back.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import ReleaseError, TimedOut
from ..kube.api import MERGE
from ..release.changes import Change

if TYPE_CHECKING:
    from ..kube.api import Api
    from ..kube.objects import Object

NOTE = "mlflow.nebari.dev/new-claim"
VOLUMES = "/api/v1/persistentvolumes"
KEPT = ("accessModes", "resources", "storageClassName", "volumeMode")


@dataclass(frozen=True)
class Rename:
    """One claim, and the name that its volume gets."""

    namespace: str
    name: str
    new_name: str
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    timeout: int = 300

    @property
    def folder(self) -> str:
        """Return the API path of the namespace's claims."""
        return f"/api/v1/namespaces/{self.namespace}/persistentvolumeclaims"


def ensure_renamed(api: Api, wanted: Rename, *, check_mode: bool) -> list[Change]:
    """Rename the claim, or finish what a run that was killed began."""
    volume = _noted(api, wanted)
    old, new = api.find(f"{wanted.folder}/{wanted.name}"), api.find(f"{wanted.folder}/{wanted.new_name}")
    if volume is None:
        if new is not None and old is None:
            return []
        volume = _begin(api, wanted, old, new, check_mode=check_mode)
    if check_mode:
        return _changes(wanted)
    note = json.loads(volume["metadata"]["annotations"][NOTE])
    name = volume["metadata"]["name"]
    if old is not None and old["spec"].get("volumeName") == name:
        api.delete(f"{wanted.folder}/{wanted.name}", body={"preconditions": {"uid": old["metadata"]["uid"]}})
        _wait_gone(api, wanted, old["metadata"]["uid"])
    _reserve(api, wanted, name)
    _create(api, wanted, name, note["spec"])
    _patch(api, name, {"spec": {"persistentVolumeReclaimPolicy": note["policy"]}})
    _patch(api, name, {"metadata": {"annotations": {NOTE: None}}})
    return _changes(wanted)


def _changes(wanted: Rename) -> list[Change]:
    kind = "PersistentVolumeClaim"
    return [
        Change("delete", kind, wanted.name, wanted.namespace),
        Change("create", kind, wanted.new_name, wanted.namespace),
    ]


def _noted(api: Api, wanted: Rename) -> Object | None:
    """The volume whose renaming has begun."""
    for volume in api.request("GET", VOLUMES)["items"]:
        text = (volume["metadata"].get("annotations") or {}).get(NOTE)
        if text and json.loads(text)["claim"] == f"{wanted.namespace}/{wanted.new_name}":
            found: Object = volume
            return found
    return None


def _begin(api: Api, wanted: Rename, old: Object | None, new: Object | None, *, check_mode: bool) -> Object:
    where = f"PersistentVolumeClaim/{wanted.name} in namespace {wanted.namespace}"
    if old is None:
        raise ReleaseError(f"{where} does not exist, and neither does {wanted.new_name}.", "Look at: kubectl get pv")
    if new is not None:
        raise ReleaseError(
            f"{where} cannot be renamed: {wanted.new_name} exists, too. Nothing was changed.",
            f"Look at what it holds: kubectl --namespace {wanted.namespace} describe pvc {wanted.new_name}",
        )
    if not old["spec"].get("volumeName"):
        raise ReleaseError(f"{where} has no volume yet.", "Run the command again when a pod has used it.")
    name = old["spec"]["volumeName"]
    volume = api.request("GET", f"{VOLUMES}/{name}")
    if check_mode:
        return volume
    note = {
        "claim": f"{wanted.namespace}/{wanted.new_name}",
        "policy": volume["spec"].get("persistentVolumeReclaimPolicy", "Delete"),
        "spec": {key: old["spec"][key] for key in KEPT if key in old["spec"]},
    }
    body = {
        "metadata": {"annotations": {NOTE: json.dumps(note)}},
        "spec": {"persistentVolumeReclaimPolicy": "Retain"},
    }
    return _patch(api, name, body)


def _reserve(api: Api, wanted: Rename, name: str) -> None:
    """Let only the new claim have the volume."""
    reference: dict[str, Any] = api.request("GET", f"{VOLUMES}/{name}")["spec"].get("claimRef") or {}
    if reference.get("name") == wanted.new_name and reference.get("namespace") == wanted.namespace:
        return
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": wanted.namespace,
        "name": wanted.new_name,
    }
    _patch(api, name, {"spec": {"claimRef": {**claim, "uid": None, "resourceVersion": None}}})


def _create(api: Api, wanted: Rename, name: str, spec: Object) -> None:
    path = f"{wanted.folder}/{wanted.new_name}"
    if api.find(path) is None:
        body = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": wanted.new_name, "labels": wanted.labels, "annotations": wanted.annotations},
            "spec": {**spec, "volumeName": name},
        }
        api.request("POST", wanted.folder, body=body)
    limit = time.monotonic() + wanted.timeout
    while ((api.find(path) or {}).get("status") or {}).get("phase") != "Bound":
        if time.monotonic() > limit:
            raise TimedOut(
                f"PersistentVolumeClaim/{wanted.new_name} in namespace {wanted.namespace} is not bound to volume "
                f"{name} after {wanted.timeout} s. The volume and its data are kept.",
                f"kubectl --namespace {wanted.namespace} describe pvc {wanted.new_name}",
            )
        time.sleep(0.5)


def _wait_gone(api: Api, wanted: Rename, uid: str) -> None:
    limit = time.monotonic() + wanted.timeout
    while ((api.find(f"{wanted.folder}/{wanted.name}") or {}).get("metadata") or {}).get("uid") == uid:
        if time.monotonic() > limit:
            raise TimedOut(
                f"PersistentVolumeClaim/{wanted.name} in namespace {wanted.namespace} is still used by a pod after "
                f"{wanted.timeout} s. Its volume is kept.",
                f"End the pod, and run the same command again: kubectl --namespace {wanted.namespace} "
                f"describe pvc {wanted.name}",
            )
        time.sleep(0.5)


def _patch(api: Api, name: str, body: Object) -> Object:
    return api.request("PATCH", f"{VOLUMES}/{name}", body=body, content_type=MERGE)
