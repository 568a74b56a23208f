# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a pod of the new release that reaches its artifact store looks like, so that a Job can fill the store before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .database_pod import OF_CONTAINER, OF_POD

if TYPE_CHECKING:
    from ..kube.objects import Object
    from ..release.session import Session

URI = "ARTIFACTS_DESTINATION"


def store_pod(session: Session, manifests: list[Object]) -> dict[str, Any]:
    """Return parts of the pod that makes backups: of the pod, its container, its environment; and the store's claim."""
    name = session.options.name
    cronjob = _named(manifests, "CronJob", f"{name}-backup")
    pod = cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    container = next(each for each in pod["containers"] if each["name"] == "backup")
    plain = [each for each in container["env"] if "value" in each]
    claim = next(
        (
            item
            for item in manifests
            if item["kind"] == "PersistentVolumeClaim" and item["metadata"]["name"] == f"{name}-artifacts"
        ),
        None,
    )
    return {
        "uri": next(str(each["value"]) for each in plain if each["name"] == URI),
        "secret": next((str(each["secretRef"]["name"]) for each in container.get("envFrom") or []), ""),
        "pod": {key: pod[key] for key in OF_POD if pod.get(key) and key != "affinity"},
        "container": {
            **{key: container[key] for key in OF_CONTAINER if container.get(key)},
            "env": plain,
            "envFrom": container.get("envFrom") or [],
        },
        "claim": _claim(session, claim) if claim else {},
    }


def _named(manifests: list[Object], kind: str, name: str) -> Object:
    return next(item for item in manifests if item["kind"] == kind and item["metadata"]["name"] == name)


def _claim(session: Session, claim: Object) -> dict[str, Any]:
    """Return the claim as the deploy after the adoption expects it: with Helm's marks."""
    metadata = claim["metadata"]
    marks = {
        "meta.helm.sh/release-name": session.options.name,
        "meta.helm.sh/release-namespace": session.options.namespace,
    }
    return {
        "name": metadata["name"],
        "labels": metadata.get("labels") or {},
        "annotations": {**(metadata.get("annotations") or {}), **marks},
        "spec": {key: value for key, value in claim["spec"].items() if value is not None},
    }
