"""Names of objects, and how few files one reads to see a pod."""

from __future__ import annotations

import re

import pytest

from tests.unit.chart.configurations import CONFIGURATIONS, PLAYBOOKS
from tests.unit.chart.rendering import CHART, Object, one, pods, refusal, render, text

TEMPLATES = CHART / "templates"
HELPERS = sorted(TEMPLATES.rglob("_*"))
EVERYTHING: Object = {"run": {"enabled": True}, "route": {"type": "ingress", "domain": "a.b", "path": "/"}}
EVERYTHING["route"]["externalAuthentication"] = True


def names(objects: list[Object]) -> set[tuple[str, str]]:
    return {(item["kind"], item["metadata"]["name"]) for item in objects}


def test_two_releases_in_a_namespace_share_no_object() -> None:
    first, second = (names(render(EVERYTHING, release=release)) for release in ("one", "two"))
    assert not first & second
    assert len(first) == len(second)


def test_releases_in_a_namespace_never_select_each_others_pods() -> None:
    for item in render(EVERYTHING, release="one"):
        selector = item.get("spec", {}).get("selector") or item.get("spec", {}).get("podSelector") or {}
        labels = selector.get("matchLabels", selector)
        assert not labels or labels["app.kubernetes.io/instance"] == "one", item["metadata"]["name"]


def test_the_service_account_has_the_full_name_unless_named() -> None:
    assert one(render(), "ServiceAccount")["metadata"]["name"] == "demo-mlflow"
    assert one(render(PLAYBOOKS), "ServiceAccount")["metadata"]["name"] == "nebari-mlflow"
    found = dict(pods(render({"fullnameOverride": "short"})))
    assert found["Deployment/short-tracking"]["serviceAccountName"] == "short"


def test_every_name_follows_the_full_name() -> None:
    own = {**EVERYTHING, "fullnameOverride": "other"}
    assert names(render(own, release="demo-mlflow"))
    assert "demo-mlflow-" not in text(own, release="demo-mlflow")
    plain = {(kind, re.sub("-[0-9a-f]{8}$", "", name)) for kind, name in names(render(EVERYTHING, release="other"))}
    assert {(kind, re.sub("-[0-9a-f]{8}$", "", name)) for kind, name in names(render(own))} == plain


def test_the_label_of_the_name_follows_the_override() -> None:
    for values, name in ((EVERYTHING, "mlflow"), ({**EVERYTHING, "nameOverride": "tracker"}, "tracker")):
        objects = render(values)
        assert {item["metadata"]["labels"]["app.kubernetes.io/name"] for item in objects} == {name}
        selectors = re.findall(r"app\.kubernetes\.io/name: (\S+)\n *app\.kubernetes\.io/instance", text(values))
        assert set(selectors) == {name}


@pytest.mark.parametrize("name", ["a" * 42, "Upper", "1a", "a.b", "a-"])
def test_a_full_name_that_cannot_work_is_refused(name: str) -> None:
    assert "fullnameOverride" in refusal({"fullnameOverride": name})


def test_a_long_release_name_works_with_a_short_full_name() -> None:
    assert render({"fullnameOverride": "mlflow"}, release="a" * 53)


def test_the_chart_can_be_a_part_of_another_chart() -> None:
    values: Object = {"enabled": True, "global": {"storageClass": "fast", "other": {"a": 1}}}
    assert names(render(values)) == names(render())


def files_read(start: str) -> set[str]:
    """Return the files that one opens to follow every include of a template."""
    texts = {str(file.relative_to(TEMPLATES)): file.read_text(encoding="utf-8") for file in TEMPLATES.rglob("*.*")}
    bodies: dict[str, tuple[str, str]] = {}
    for file, content in texts.items():
        for part in re.split(r'(?=\{\{- define ")', content)[1:]:
            bodies[part.split('"')[1]] = (file, part)
    seen, open_names = {start}, set(re.findall(r'include "([^"]+)"', texts[start]))
    done: set[str] = set()
    while open_names - done:
        name = (open_names - done).pop()
        done.add(name)
        file, body = bodies[name]
        seen.add(file)
        open_names |= set(re.findall(r'include "([^"]+)"', body))
    return seen


@pytest.mark.parametrize(
    ("manifest", "files"),
    [
        ("tracking/deployment.yaml", 6),
        ("postgresql/statefulset.yaml", 5),
        ("migrate/job.yaml", 4),
        ("run/workload.yaml", 3),
        ("tests/pod.yaml", 2),
    ],
)
def test_a_pod_is_read_in_few_files(manifest: str, files: int) -> None:
    assert len(files_read(manifest)) <= files, files_read(manifest)
    assert "containers:" in (TEMPLATES / manifest).read_text(encoding="utf-8")


def test_helpers_are_few_and_each_is_used() -> None:
    assert len(HELPERS) <= 10
    everything = "".join(file.read_text(encoding="utf-8") for file in TEMPLATES.rglob("*.*"))
    defined = re.findall(r'define "([^"]+)"', everything)
    assert len(defined) == len(set(defined))
    assert set(re.findall(r'include "([^"]+)"', everything)) == set(defined)
    for standard in ("name", "fullname", "chart", "labels", "selectorLabels", "serviceAccountName"):
        assert f"mlflow.{standard}" in defined


@pytest.mark.parametrize("values", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_defaults_of_the_volume_disturb_no_object_store(values: Object) -> None:
    claims = [item for item in render(values) if item["kind"] == "PersistentVolumeClaim"]
    assert bool(claims) is ("storage" not in values)
