"""Whose a release, an object or a volume is: what is, what is wanted, and whether that is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.release.ownership import (
    MARK,
    claim_labels,
    is_left_over,
    is_same_chart,
    other_chart,
    refuse_claim,
    refuse_foreign,
)
from ansible_collections.nebari.mlflow.plugins.module_utils.release.record import Record

CHART = Path(__file__).parents[3] / "collections/ansible_collections/nebari/mlflow/roles/server/files/mlflow"
OURS: dict[str, Any] = yaml.safe_load((CHART / "Chart.yaml").read_text())
FIRST: dict[str, Any] = {  # as it was before the mark
    "name": "mlflow",
    "version": "0.1.0",
    "keywords": ["mlflow", "machine-learning", "experiment-tracking", "model-registry", "nebari"],
    "annotations": {"artifacthub.io/license": "Apache-2.0"},
}
BITNAMI: dict[str, Any] = {
    "name": "mlflow",
    "version": "5.1.17",
    "appVersion": "3.3.2",
    "home": "https://bitnami.com",
    "keywords": ["mlflow", "models", "python", "machine", "learning"],
    "annotations": {"category": "MachineLearning"},
}
COMMUNITY: dict[str, Any] = {"name": "mlflow", "version": "1.8.1", "keywords": ["mlflow", "machine learning"]}
TINY = {"name": "tiny", "version": "0.1.0"}


@pytest.mark.parametrize(
    ("recorded", "wanted", "same"),
    [
        (OURS, OURS, True),
        ({**OURS, "version": "9.0.0"}, OURS, True),
        (FIRST, OURS, True),
        (BITNAMI, OURS, False),
        (COMMUNITY, OURS, False),
        ({"name": "mlflow"}, OURS, False),
        ({**BITNAMI, "annotations": {MARK: "another"}}, OURS, False),
        ({**OURS, "name": "mlflow-pack"}, OURS, False),
        ({}, OURS, False),
        ({**TINY, "version": "2.0.0"}, TINY, True),
        (OURS, TINY, False),
    ],
)
def test_a_chart_is_told_by_its_name_and_its_mark(recorded: Any, wanted: Any, same: bool) -> None:
    assert is_same_chart(recorded, wanted) is same


def record(revision: int, status: str, chart: Any) -> Record:
    return Record({}, {"version": revision, "info": {"status": status}, "chart": {"metadata": chart}})


@pytest.mark.parametrize("status", ["deployed", "failed", "pending-install", "pending-upgrade", "uninstalled"])
@pytest.mark.parametrize("removal", [False, True])
def test_a_release_of_another_chart_is_refused_in_any_state(status: str, removal: bool) -> None:
    with pytest.raises(ReleaseError) as raised:
        refuse_foreign([record(3, status, BITNAMI)], OURS, "demo-mlflow", "dev", removal=removal)
    assert "was installed from another chart, mlflow 5.1.17" in raised.value.cause
    assert f"(revision 3, status {status}). Nothing was changed." in raised.value.cause
    assert ("another project name" in raised.value.fix) is not removal
    assert "helm uninstall demo-mlflow --namespace dev" in raised.value.fix


def test_an_interrupted_upgrade_over_another_chart_is_refused() -> None:
    records = [record(2, "failed", OURS), record(1, "deployed", BITNAMI)]
    with pytest.raises(ReleaseError, match=r"revision 1, status deployed"):
        refuse_foreign(records, OURS, "demo-mlflow", "dev", removal=False)


def test_our_own_earlier_releases_are_not_refused() -> None:
    refuse_foreign([record(2, "failed", OURS), record(1, "deployed", FIRST)], OURS, "a", "dev", removal=False)
    refuse_foreign([], OURS, "a", "dev", removal=False)


def labelled(kind: str = "Service", selector: Any = None, **labels: str) -> dict[str, Any]:
    marks = {name.replace("__", "/").replace("_", "."): value for name, value in labels.items()}
    spec = {"spec": {"selector": selector}} if selector is not None else {}
    return {"kind": kind, "metadata": {"name": "x", "labels": marks}, **spec}


SELECTED = {"matchLabels": {"app": "x"}}
OTHER = {"matchLabels": {"app": "x", "part-of": "mlflow"}}


@pytest.mark.parametrize(
    ("live", "wanted", "other"),
    [
        (labelled(helm_sh__chart="mlflow-0.1.0"), labelled(helm_sh__chart="mlflow-0.2.0"), ""),
        (labelled(helm_sh__chart="mlflow-0.1.0-rc.1"), labelled(helm_sh__chart="mlflow-0.2.0"), ""),
        (labelled(helm_sh__chart="postgresql-16.2.1"), labelled(helm_sh__chart="mlflow-0.2.0"), "postgresql-16.2.1"),
        (labelled(helm_sh__chart="a-b-1.0.0"), labelled(helm_sh__chart="a-1.0.0"), "a-b-1.0.0"),
        (labelled(), labelled(helm_sh__chart="mlflow-0.2.0"), ""),
        (labelled("Deployment", SELECTED), labelled("Deployment", SELECTED), ""),
        (labelled("Deployment", OTHER), labelled("Deployment", SELECTED), "by its selector"),
        (
            labelled("Deployment", OTHER, helm_sh__chart="mlflow-5.1.17"),
            labelled("Deployment", SELECTED, helm_sh__chart="mlflow-0.1.0"),
            "mlflow-5.1.17",
        ),
        (labelled("ServiceMonitor", OTHER), labelled("ServiceMonitor", SELECTED), ""),
    ],
)
def test_an_object_without_a_record_tells_its_chart(live: Any, wanted: Any, other: str) -> None:
    assert other_chart(live, wanted) == other


def claim(labels: dict[str, str], name: str = "data-demo-mlflow-postgresql-0", **annotations: str) -> dict[str, Any]:
    marks = {key.replace("__", "/").replace("_", "."): value for key, value in annotations.items()}
    return {"metadata": {"name": name, "namespace": "dev", "labels": labels, "annotations": marks}}


INSTANCE, NAME, PART = ("app.kubernetes.io/instance", "app.kubernetes.io/name", "app.kubernetes.io/component")
MINE = {INSTANCE: "demo-mlflow", NAME: "mlflow", PART: "postgresql"}
BITNAMIS = {INSTANCE: "demo-mlflow", NAME: "postgresql", PART: "primary"}


def test_a_stateful_set_labels_its_claims_by_template_and_selector() -> None:
    template = {"metadata": {"name": "data", "labels": {"a": "1"}}}
    item = {"spec": {"selector": {"matchLabels": {"b": "2"}}, "volumeClaimTemplates": [template]}}
    assert claim_labels(item) == {"data": {"a": "1", "b": "2"}}


@pytest.mark.parametrize(
    ("labels", "complete", "told"),
    [
        (MINE, True, ""),
        ({**MINE, "more": "x"}, True, ""),
        (BITNAMIS, True, "belongs to another chart: it has the label app.kubernetes.io/name=postgresql"),
        (BITNAMIS, False, "belongs to another chart: it has the label app.kubernetes.io/name=postgresql"),
        ({**MINE, INSTANCE: "other"}, False, "it has the label app.kubernetes.io/instance=other"),
        ({}, True, "nothing tells whose data it holds"),
        ({INSTANCE: "demo-mlflow"}, True, "does not have the label app.kubernetes.io/name"),
        ({}, False, ""),
    ],
)
def test_a_database_is_never_started_beside_foreign_data(labels: dict[str, str], complete: bool, told: str) -> None:
    if not told:
        refuse_claim(claim(labels), MINE, "dev", complete=complete)
        return
    with pytest.raises(ReleaseError) as raised:
        refuse_claim(claim(labels), MINE, "dev", complete=complete)
    assert told in raised.value.cause
    assert "Nothing was changed." in raised.value.cause
    wrong = " ".join(f"{key}={value}" for key, value in MINE.items() if key not in labels)
    fix = "delete pvc data-demo" if "has the label" in told else f"label pvc data-demo-mlflow-postgresql-0 {wrong}"
    assert fix in raised.value.fix


HELM = {"meta_helm_sh__release-name": "demo-mlflow", "meta_helm_sh__release-namespace": "dev"}
KEPT = {"helm_sh__resource-policy": "keep"}


@pytest.mark.parametrize(
    ("found", "ours"),
    [
        (claim(MINE), True),
        (claim({INSTANCE: "demo-mlflow"}), True),
        (claim({NAME: "mlflow"}), False),
        (claim({**MINE, INSTANCE: "other"}), False),
        (claim(BITNAMIS), False),
        (claim({INSTANCE: "demo-mlflow", NAME: "minio"}), False),
        (claim({**MINE, "helm.sh/chart": "mlflow-0.1.0"}, "files", **HELM, **KEPT), True),
        (claim({**MINE, "helm.sh/chart": "mlflow-5.1.17"}, "files", **HELM), False),
        (claim({**MINE, "helm.sh/chart": "minio-1.0.0"}, "files", **HELM, **KEPT), False),
        (claim(MINE, "files", **{**HELM, "meta_helm_sh__release-name": "other"}, **KEPT), False),
        (claim(MINE, "files", **{**HELM, "meta_helm_sh__release-namespace": "other"}, **KEPT), False),
    ],
)
def test_only_our_marked_claim_is_deleted_without_a_record(found: dict[str, Any], ours: bool) -> None:
    assert is_left_over(found, "demo-mlflow", "mlflow") is ours
