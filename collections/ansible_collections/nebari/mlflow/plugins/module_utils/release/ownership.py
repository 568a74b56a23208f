# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whose a release, an object or a volume is, decided by the marks that they carry. What another chart made stays."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..errors import ForeignObject
from .manifest import RELEASE_NAME, annotation, is_kept, is_owned
from .options import INSTANCE

if TYPE_CHECKING:
    from ..kube.objects import Object
    from .record import Record

MARK = "mlflow.nebari.dev/chart"
# Other charts are named mlflow, too. Before ours had its mark, these keywords were what no other has.
KEYWORDS = frozenset({"experiment-tracking", "model-registry", "nebari"})
NAME = "app.kubernetes.io/name"
CHART = "helm.sh/chart"
SELECTING = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
VERSION = re.compile(r"-v?\d+\.\d+.*$")


def is_same_chart(recorded: Object, wanted: Object) -> bool:
    """Say if a release record's chart is the one to deploy, in any version; both are the content of a Chart.yaml."""
    if recorded.get("name") != wanted.get("name"):
        return False
    mark = _mark(wanted)
    if not mark:
        return True  # nothing but the name tells this chart from others
    if _mark(recorded):
        return _mark(recorded) == mark
    return set(recorded.get("keywords") or []) >= KEYWORDS


def refuse_foreign(records: list[Record], wanted: Object, name: str, namespace: str, *, removal: bool) -> None:
    """Raise when one of the revisions was made from another chart. Their order is newest first."""
    other = next((record for record in records if not is_same_chart(record.chart, wanted)), None)
    if other is None:
        return
    made_by = f"{other.chart.get('name', 'no name')} {other.chart.get('version', '')}".strip()
    cause = (
        f"The Helm release {name} in namespace {namespace} was installed from another chart, {made_by} "
        f"(revision {other.revision}, status {other.status}). Nothing was changed."
    )
    by_helm = f"helm uninstall {name} --namespace {namespace}"
    if removal:
        raise ForeignObject(cause, f"If it is what you want to remove, back up its data and run: {by_helm}")
    if other.chart.get("name") == wanted.get("name") and _mark(wanted):
        take_over = (
            "To take over its database, run: nebari-mlflow adopt (for Nebari, or set `adopt: true` in the mlflow "
            "block; for the playbooks: ansible-playbook nebari.mlflow.adopt). "
        )
    else:
        take_over = ""
    raise ForeignObject(
        cause,
        f"{take_over}To keep both, use another `name` (for the playbooks and Nebari: another project name). "
        f"To replace it, back up its data and remove it first: {by_helm}",
    )


def other_chart(live: Object, wanted: Object) -> str:
    """Name the chart that a live object is of, if its label or its selector says that it isn't the wanted one's.

    A selector is immutable, so the same chart never has another one for the same object.
    """
    there, ours = _labels(live).get(CHART, ""), _labels(wanted).get(CHART, "")
    if there and ours and VERSION.sub("", there) != VERSION.sub("", ours):
        return str(there)
    if wanted["kind"] in SELECTING and live["spec"]["selector"] != wanted["spec"]["selector"]:
        return str(there or "by its selector")
    return ""


def claim_labels(stateful_set: Object) -> dict[str, dict[str, str]]:
    """Return the labels that Kubernetes gives to the claims of a StatefulSet, by the name of their template."""
    spec = stateful_set["spec"]
    selected = (spec.get("selector") or {}).get("matchLabels") or {}
    return {item["metadata"]["name"]: {**_labels(item), **selected} for item in spec.get("volumeClaimTemplates") or []}


def unlike(claim: Object, expected: dict[str, str], *, complete: bool) -> dict[str, str]:
    """Return the expected labels that a claim has with another value, or lacks although it needs all."""
    labels = _labels(claim)
    return {
        label: value for label, value in expected.items() if labels.get(label, None if complete else value) != value
    }


def refuse_claim(claim: Object, expected: dict[str, str], namespace: str, *, complete: bool) -> None:
    """Raise when a volume that a new database would be written to is not marked as the release's own."""
    wrong = unlike(claim, expected, complete=complete)
    if not wrong:
        return
    name, labels = claim["metadata"]["name"], _labels(claim)
    where = f"PersistentVolumeClaim/{name} in namespace {namespace}"
    others = [f"{label}={labels[label]}" for label in wrong if label in labels]
    if others:
        raise ForeignObject(
            f"{where} belongs to another chart: it has the label {', '.join(others)}. Nothing was changed.",
            "To keep it, use another `name` (for the playbooks and Nebari: another project name). If nothing of value "
            f"is left on it, delete it: kubectl --namespace {namespace} delete pvc {name}",
        )
    label = " ".join(f"{key}={value}" for key, value in wrong.items())
    raise ForeignObject(
        f"{where} does not have the label {', '.join(wrong)}, so nothing tells whose data it holds. "
        "Nothing was changed.",
        f"If it is empty, or a copy of this release's own volume, label it and run the same command again: "
        f"kubectl --namespace {namespace} label pvc {name} {label}. Otherwise use another `name`.",
    )


def is_left_over(claim: Object, name: str, chart: str) -> bool:
    """Say if a claim that no release record mentions is what an earlier release of this chart left.

    A claim that Helm made and that isn't marked to be kept goes with its release, so it was not left by us.
    """
    labels = _labels(claim)
    if annotation(claim, RELEASE_NAME):
        marked = is_owned(claim, name, claim["metadata"]["namespace"]) and is_kept(claim)
    else:
        marked = labels.get(INSTANCE) == name
    return marked and labels.get(NAME, chart) == chart and VERSION.sub("", labels.get(CHART, chart)) == chart


def _mark(chart: Object) -> str:
    return str((chart.get("annotations") or {}).get(MARK, ""))


def _labels(item: Object) -> dict[str, Any]:
    return (item.get("metadata") or {}).get("labels") or {}
