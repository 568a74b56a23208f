# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""See that a deploy brings another version of the program that owns a database, from what the plan has read anyway.

Whether that changes the database's schema, only the new version itself can tell. So what comes back is what its Jobs
are made from: the pod of the new chart's backups, with the new chart's scripts under names of their own, because the
release in the cluster is still the old one.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from .manifest import annotation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..kube.objects import Object
    from .comparison import Comparison

MARK = "mlflow.nebari.dev/upgraded-by"
"""On a Deployment of a chart: the CronJob whose pod can back up and upgrade its database."""
NOTE = "mlflow.nebari.dev/upgrade"
"""On the same Deployment, from when its servers are stopped until they have proved to work: what a later run needs."""

SUFFIX = "-upgrade"
SECONDS = 60
PER_GIB = 60


def find(comparisons: Iterable[Comparison]) -> dict[str, Any]:
    """Return what an upgrade starts from; {} if the version stays and no upgrade was cut off."""
    there = list(comparisons)
    for found in there:
        cronjob = annotation(found.item, MARK)
        if found.key.kind != "Deployment" or not cronjob or found.live is None:
            continue
        before, after = image(found.live), image(found.item)
        note = read(found.live)
        if before == after and not note:
            return {}
        return {
            "deployment": found.key.name,
            "uid": str(found.live["metadata"].get("uid", "")),
            "from": str(note.get("from") or before),
            "to": after,
            "live": before,
            "note": note,
            **_templates(there, cronjob),
        }
    return {}


def image(workload: Object) -> str:
    """The image of the first container."""
    return str(workload["spec"]["template"]["spec"]["containers"][0]["image"])


def read(live: Object) -> dict[str, Any]:
    """The note of an upgrade that stopped the servers and did not come to its end; {} if there is none."""
    text = annotation(live, NOTE)
    try:
        found = json.loads(text) if text.startswith("{") else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def announcement(found: dict[str, Any]) -> str:
    """Say what the upgrade means for those who use the server."""
    if found["note"]:
        return (
            f"An upgrade of {found['deployment']} was cut off after the servers had been stopped. This deploy finishes "
            "it, or goes back if it is of the version before."
        )
    return (
        f"{found['deployment']} changes from {found['live']} to {found['to']}. If that needs another schema of the "
        f"database, the deploy makes a backup, and the server is away for about {SECONDS} s, and for {PER_GIB} s more "
        "for each GiB of the database. If anything fails, the state before comes back."
    )


def _templates(comparisons: list[Comparison], name: str) -> dict[str, Any]:
    """The new CronJob, and copies of the ConfigMaps that its pod mounts, by names that the release does not use."""
    items = {(found.key.kind, found.key.name): found.item for found in comparisons}
    cronjob = copy.deepcopy(items["CronJob", name])
    spec = cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    config_maps = []
    for reference in _config_maps(spec):
        item = copy.deepcopy(items.get(("ConfigMap", reference["name"])))
        if item is None:
            continue  # someone else's, such as an authority's certificate
        reference["name"] = item["metadata"]["name"] = reference["name"] + SUFFIX
        config_maps.append(item)
    return {"cronjob": cronjob, "config_maps": config_maps}


def _config_maps(spec: Object) -> list[Object]:
    volumes = list(spec.get("volumes") or [])
    plain = [volume["configMap"] for volume in volumes if "configMap" in volume]
    sources = [source for volume in volumes for source in (volume.get("projected") or {}).get("sources") or []]
    return [*plain, *(source["configMap"] for source in sources if "configMap" in source)]
