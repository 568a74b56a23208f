# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the chart's own PostgreSQL looks like, so that a Job can fill its volume before it runs for the first time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import RefusedInput

if TYPE_CHECKING:
    from ..kube.objects import Object
    from ..release.session import Session

OF_POD = ("imagePullSecrets", "nodeSelector", "tolerations", "affinity", "priorityClassName", "securityContext")
OF_CONTAINER = ("image", "imagePullPolicy", "resources", "securityContext")


def database_pod(session: Session, manifests: list[Object]) -> dict[str, Any]:
    """Return parts of the StatefulSet that the values make: of the pod, its container, its environment, its claim.

    Raises RefusedInput if the values make no database.
    """
    name = f"{session.options.name}-postgresql"
    found = [item for item in manifests if item["kind"] == "StatefulSet" and item["metadata"]["name"] == name]
    if not found:
        raise RefusedInput(
            "The values run no PostgreSQL inside the release, and the old release has one.",
            "Adopt it into the release's own PostgreSQL first: remove mlflow_database and postgresql.enabled.",
        )
    spec = found[0]["spec"]["template"]["spec"]
    container = spec["containers"][0]
    claim = found[0]["spec"]["volumeClaimTemplates"][0]
    selector = found[0]["spec"]["selector"]["matchLabels"]
    plain = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    return {
        "pod": {key: spec[key] for key in OF_POD if spec.get(key)},
        "container": {key: container[key] for key in OF_CONTAINER if container.get(key)},
        "user": plain["MLFLOW_USER"],
        "database": plain["MLFLOW_DATABASE"],
        "claim": {
            "labels": {**(claim["metadata"].get("labels") or {}), **selector},
            "spec": {key: value for key, value in claim["spec"].items() if value is not None},
        },
    }
