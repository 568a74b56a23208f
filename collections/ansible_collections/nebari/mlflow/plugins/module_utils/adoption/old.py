# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What another chart's release of MLflow consists of, and how far taking it over has come. Nothing here writes."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import ForeignObject
from ..release import ownership
from ..release.manifest import annotation
from ..release.record import Record, decode
from .artifacts import UNKNOWN, Artifacts, find

if TYPE_CHECKING:
    from ..kube.objects import Object
    from ..release.session import Session

COPIED = "mlflow.nebari.dev/copied"
ADOPTED = "mlflow.nebari.dev/adopted"
ARTIFACTS = "mlflow.nebari.dev/artifacts"
HELM_KEY = "helm-release"  # of the Secret that keeps what Helm knew
# What the chart's PostgreSQL is called unless its values say otherwise.
USER, DATABASE = "bn_mlflow", "bitnami_mlflow"
MAJOR = re.compile(r":v?(\d{2})(?:[.-]|$)")
ABSENT, FOUND, COPIED_STAGE, MOVING, DONE = "absent", "found", "copied", "moving", "done"


@dataclass(frozen=True)
class Writer:
    """A Deployment of the old release. Its generation tells whether it was changed since it was stopped."""

    name: str
    replicas: int
    generation: int
    selector: dict[str, str]


@dataclass(frozen=True)
class Database:
    """The old release's own PostgreSQL. Its password is a key of a Secret, which a Job reads."""

    name: str
    stateful_set: str
    claim: str
    user: str
    database: str
    secret: str
    key: str
    image: str
    major: str
    uid: int
    size: str
    pod: str  # a pod that is ready, or ""
    selector: dict[str, str]


@dataclass(frozen=True)
class Old:
    """All of it. `stage` is how far an adoption has come."""

    stage: str
    installed: bool = False
    chart: str = ""
    app_version: str = ""
    revision: int = 0
    objects: list[Object] = field(default_factory=list)
    records: list[Object] = field(default_factory=list)
    writers: list[Writer] = field(default_factory=list)
    database: Database | None = None
    claims: list[dict[str, str]] = field(default_factory=list)
    artifacts: Artifacts = field(default_factory=lambda: Artifacts(UNKNOWN))
    artifacts_in: str = ""  # the store that an interrupted adoption copied them into
    kept: dict[str, str] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """Return the fields by name, as the module returns them."""
        return asdict(self)


def names(release: str) -> dict[str, str]:
    """Names of the objects that an adoption creates. The staged volume becomes the new database's."""
    return {
        "secret": f"{release}-old",
        "claim": f"{release}-old-database",
        "staged": f"{release}-adopted",
        "final": f"data-{release}-postgresql-0",
        "store_staged": f"{release}-adopted-artifacts",
        "job": f"{release}-adopt",
    }


def look(session: Session) -> Old:
    """Return the old release as it is, or as an interrupted adoption left it."""
    options = session.options
    kept = names(options.name)
    saved = session.api.find(f"/api/v1/namespaces/{options.namespace}/secrets/{kept['secret']}")
    records = _foreign(session)
    release = records[0].release if records else _saved_release(saved)
    if release is None:
        return Old(ABSENT, kept=kept)
    record = records[0] if records else Record({}, release)
    writers = _writers(session, record) if records else []
    return Old(
        stage=_stage(saved, writers, installed=bool(records)),
        installed=bool(records),
        chart=f"{record.chart.get('name')} {record.chart.get('version')}",
        app_version=str(record.chart.get("appVersion", "")),
        revision=record.revision,
        objects=_objects(record, options.namespace),
        records=[_identity("v1", "Secret", each.secret["metadata"]["name"], options.namespace) for each in records],
        writers=writers,
        database=_database(session, record, installed=bool(records)),
        claims=_claims(session, record),
        artifacts=find(record.objects, values_of(record), options.namespace),
        artifacts_in=annotation(saved, ARTIFACTS) if saved else "",
        kept=kept,
    )


def values_of(record: Record) -> dict[str, Any]:
    """Return the values of the release over the chart's own."""

    def over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
        both = {**below, **above}
        for name in below.keys() & above.keys():
            if isinstance(below[name], dict) and isinstance(above[name], dict):
                both[name] = over(below[name], above[name])
        return both

    return over(record.defaults, record.config)


def major_of(image: str) -> str:
    """PostgreSQL's major version as the image's tag says it; "" if it says none."""
    found = MAJOR.search(image)
    return found[1] if found else ""


def _foreign(session: Session) -> list[Record]:
    """The records of another chart, newest first."""
    chart = session.helm.chart_metadata()
    found = [session.records.read(revision) for revision in session.records.statuses()]
    records = [record for record in found if record is not None]
    others = [record for record in records if not ownership.is_same_chart(record.chart, chart)]
    if others and len(others) != len(records):
        raise ForeignObject(
            f"The Helm release {session.options.name} in namespace {session.options.namespace} has revisions of two "
            f"charts: {others[0].chart.get('name')} {others[0].chart.get('version')} (revision {others[0].revision}) "
            f"and this one (revision {records[0].revision}). Nothing was changed.",
            f"Go back to the other chart: helm rollback {session.options.name} {others[0].revision} "
            f"--namespace {session.options.namespace}",
        )
    if others and str(others[0].chart.get("name")) != "mlflow":
        ownership.refuse_foreign(others, chart, session.options.name, session.options.namespace, removal=False)
    return others


def _saved_release(saved: Object | None) -> dict[str, Any] | None:
    payload = ((saved or {}).get("data") or {}).get(HELM_KEY)
    return decode(payload) if payload else None


def _stage(saved: Object | None, writers: list[Writer], *, installed: bool) -> str:
    if saved is None:
        return FOUND
    if annotation(saved, ADOPTED):
        return DONE
    stopped = annotation(saved, COPIED)
    if not stopped:
        return FOUND
    if not installed:
        return MOVING
    return COPIED_STAGE if is_still_stopped(writers, json.loads(stopped)) else FOUND


def is_still_stopped(writers: list[Writer], stopped: dict[str, int]) -> bool:
    """Say if no Deployment was changed since the copy, so nothing can have been written to the old database."""
    return all(writer.replicas == 0 and stopped.get(writer.name) == writer.generation for writer in writers)


def _objects(record: Record, namespace: str) -> list[Object]:
    """The release's objects, to be deleted: everything but volume claims."""
    return [
        _identity(
            str(item["apiVersion"]),
            item["kind"],
            item["metadata"]["name"],
            item["metadata"].get("namespace", namespace),
        )
        for item in record.objects
        if item["kind"] != "PersistentVolumeClaim"
    ]


def _identity(version: str, kind: str, name: str, namespace: str) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}


def _writers(session: Session, record: Record) -> list[Writer]:
    folder = f"/apis/apps/v1/namespaces/{session.options.namespace}/deployments"
    found = []
    for item in record.objects:
        component = (item["metadata"].get("labels") or {}).get(ownership.NAME, "")
        if item["kind"] != "Deployment" or component == "minio":
            continue
        live = session.api.find(f"{folder}/{item['metadata']['name']}")
        if live is not None:
            replicas, generation = int(live["spec"].get("replicas", 1)), int(live["metadata"]["generation"])
            labels = live["spec"]["selector"].get("matchLabels") or {}
            found.append(Writer(item["metadata"]["name"], replicas, generation, labels))
    return found


def _database(session: Session, record: Record, *, installed: bool) -> Database | None:
    stateful = next(
        (item for item in record.objects if item["kind"] == "StatefulSet" and "postgresql" in item["metadata"]["name"]),
        None,
    )
    if stateful is None:
        return None
    name = str(stateful["metadata"]["name"])
    auth = ((values_of(record).get("postgresql") or {}).get("auth")) or {}
    template = stateful["spec"]["template"]["spec"]
    container = template["containers"][0]
    selector = stateful["spec"]["selector"].get("matchLabels") or {}
    claim_template = (stateful["spec"].get("volumeClaimTemplates") or [{"metadata": {"name": "data"}}])[0]
    claim = f"{claim_template['metadata']['name']}-{name}-0"
    existing = str(auth.get("existingSecret") or "")
    key = str((auth.get("secretKeys") or {}).get("userPasswordKey") or "password")
    live = session.api.find(f"/api/v1/namespaces/{session.options.namespace}/persistentvolumeclaims/{claim}")
    return Database(
        name=name,
        stateful_set=name,
        claim=claim,
        user=str(auth.get("username") or USER),
        database=str(auth.get("database") or DATABASE),
        secret=existing or names(session.options.name)["secret"],
        key=key if existing else f"{name}.{key}",
        image=str(container.get("image", "")),
        major=major_of(str(container.get("image", ""))),
        uid=int((container.get("securityContext") or {}).get("runAsUser") or 1001),
        size=str((((live or {}).get("status") or {}).get("capacity") or {}).get("storage", "")),
        pod=_ready_pod(session, selector) if installed else "",
        selector=selector,
    )


def _ready_pod(session: Session, selector: dict[str, str]) -> str:
    query = {"labelSelector": ",".join(f"{key}={value}" for key, value in selector.items())}
    pods = session.api.request("GET", f"/api/v1/namespaces/{session.options.namespace}/pods", query=query)["items"]
    for pod in pods:
        states = {each["type"]: each["status"] for each in (pod.get("status") or {}).get("conditions") or []}
        if states.get("Ready") == "True" and not pod["metadata"].get("deletionTimestamp"):
            return str(pod["metadata"]["name"])
    return ""


def _claims(session: Session, record: Record) -> list[dict[str, str]]:
    """The volume claims that carry the release's name, with what is on them by name and size."""
    folder = f"/api/v1/namespaces/{session.options.namespace}/persistentvolumeclaims"
    of_manifest = {item["metadata"]["name"] for item in record.objects if item["kind"] == "PersistentVolumeClaim"}
    query = {"labelSelector": f"app.kubernetes.io/instance={session.options.name}"}
    found = []
    for claim in session.api.request("GET", folder, query=query)["items"]:
        labels = claim["metadata"].get("labels") or {}
        if claim["metadata"]["name"] in of_manifest or labels.get(ownership.NAME) in ("postgresql", "minio"):
            size = str(((claim.get("status") or {}).get("capacity") or {}).get("storage", ""))
            holds = "database" if labels.get(ownership.NAME) == "postgresql" else "artifacts"
            found.append({"name": claim["metadata"]["name"], "size": size, "holds": holds})
    return found
