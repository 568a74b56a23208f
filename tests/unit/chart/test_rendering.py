"""What holds for every rendering: the same bytes, no secret, what Pod Security asks for, frozen selectors."""

from __future__ import annotations

import copy
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.chart import rendering
from tests.unit.chart.configurations import CONFIGURATIONS, PLAYBOOKS
from tests.unit.chart.rendering import CHART, Object, containers, one, pods, render, run, text

GOLDEN = Path(__file__).parent / "golden"
TEMPLATES = sorted(path for path in (CHART / "templates").rglob("*") if path.is_file())
VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["version"]
MONITORING = ("--api-versions", "monitoring.coreos.com/v1")

every_configuration = pytest.mark.parametrize("values", CONFIGURATIONS.values(), ids=CONFIGURATIONS)


def without_scripts(objects: list[Object]) -> list[Object]:
    """Take out what changes with every edit of a script; scripts have tests of their own."""
    plain = copy.deepcopy(objects)
    for item in plain:
        item.pop("data", None)
        annotations = item.get("spec", {}).get("template", {}).get("metadata", {}).get("annotations", {})
        for name in [name for name in annotations if name.startswith("checksum/")]:
            annotations[name] = "..."
        item["metadata"]["labels"].pop("helm.sh/chart")
        item["metadata"]["name"] = re.sub(r"-migrate-[0-9a-f]{8}$", "-migrate-HASH", item["metadata"]["name"])
    return sorted(plain, key=lambda item: (item["kind"], item["metadata"]["name"]))


def golden(name: str, objects: Any) -> None:
    """Compare with the file; UPDATE_GOLDEN=1 writes it."""
    file = GOLDEN / f"{name}.json"
    found = json.dumps(objects, indent=1, sort_keys=True) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(found, encoding="utf-8")
    assert found == file.read_text(encoding="utf-8"), "if it is meant: UPDATE_GOLDEN=1 pytest tests/unit/chart"


def test_the_defaults() -> None:
    golden("defaults", without_scripts(render(PLAYBOOKS)))


def test_what_kubernetes_never_lets_change() -> None:
    """A release that is out there is upgraded only while these stay: they are immutable."""
    objects = render({**PLAYBOOKS, "run": {"enabled": True}, "storage": {"volume": {"size": "5Gi"}}})
    frozen: dict[str, Any] = {}
    for item in objects:
        name, spec = f"{item['kind']}/{item['metadata']['name']}", item.get("spec", {})
        if item["kind"] in {"Deployment", "StatefulSet"}:
            frozen[name] = {"selector": spec["selector"]}
        if item["kind"] == "StatefulSet":
            frozen[name] |= {key: spec[key] for key in ("serviceName", "volumeClaimTemplates")}
        if item["kind"] == "PersistentVolumeClaim":
            frozen[name] = spec
        if item["kind"] == "Service":
            frozen[name] = {"selector": spec["selector"]}
    golden("immutable", frozen)


@every_configuration
def test_the_same_values_give_the_same_bytes(values: Object) -> None:
    assert text(values) == text(values, "--is-upgrade")
    rendering.rendered.cache_clear()
    assert text(values, "--is-upgrade") == text(values)


@every_configuration
def test_helm_lint_finds_nothing(values: Object) -> None:
    done = run("lint", "--strict", str(CHART), values=values)
    assert done.returncode == 0, done.stdout


@every_configuration
def test_pods_are_restricted(values: Object) -> None:
    for name, pod in pods(render(values, *MONITORING)):
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] == security["fsGroup"] == (999 if "postgresql" in name else 10001), name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["enableServiceLinks"] is False, name
        for container in containers(pod):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["readOnlyRootFilesystem"] is True, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name
            for kind in ("requests", "limits"):
                assert set(container["resources"][kind]) == {"cpu", "memory", "ephemeral-storage"}, name


@every_configuration
def test_what_pods_write_to_is_bounded(values: Object) -> None:
    for name, pod in pods(render(values, *MONITORING)):
        for volume in pod.get("volumes", []):
            if "emptyDir" in volume:
                assert volume["emptyDir"]["sizeLimit"], name


@every_configuration
def test_no_pod_gets_a_token_of_kubernetes(values: Object) -> None:
    objects = render(values, *MONITORING)
    for name, pod in pods(objects):
        assert pod["automountServiceAccountToken"] is False, name
    assert one(objects, "ServiceAccount")["automountServiceAccountToken"] is False
    assert not [item for item in objects if "Role" in item["kind"]]


def test_a_token_of_kubernetes_can_be_asked_for() -> None:
    asked = render({"serviceAccount": {"automountServiceAccountToken": True}})
    mounted = {name for name, pod in pods(asked) if pod["automountServiceAccountToken"]}
    assert mounted == {"Deployment/demo-mlflow-tracking"}


@every_configuration
def test_only_the_server_is_the_cloud_s_identity(values: Object) -> None:
    """Webhooks of clouds give an identity to every pod of the service account that is annotated."""
    for name, pod in pods(render({**values, **PLAYBOOKS, "run": {"enabled": True}}, *MONITORING)):
        account = pod.get("serviceAccountName", "default")
        assert account == ("nebari-mlflow" if name.endswith("-tracking") else "default"), name


@every_configuration
def test_no_secret_is_made_or_written_down(values: Object) -> None:
    objects = render(values, *MONITORING)
    assert not [item for item in objects if item["kind"] == "Secret"]
    secret = re.compile(r"(PASS|SECRET|KEY|TOKEN)(?!.*_FILE$)")
    for name, pod in pods(objects):
        for container in containers(pod):
            for entry in container.get("env", []):
                if secret.search(entry["name"]):
                    assert "secretKeyRef" in entry.get("valueFrom", {}), f"{name}: {entry['name']}"
                assert not re.search(r"://[^/@]*:[^/@]*@", entry.get("value", "")), f"{name}: {entry['name']}"


@every_configuration
def test_objects_are_labelled_and_in_the_namespace(values: Object) -> None:
    for item in render(values, *MONITORING):
        labels, name = item["metadata"]["labels"], f"{item['kind']}/{item['metadata']['name']}"
        assert item["metadata"]["namespace"] == rendering.NAMESPACE, name
        assert labels["app.kubernetes.io/instance"] == rendering.RELEASE, name
        assert labels["helm.sh/chart"] == f"mlflow-{VERSION}", name
        assert item["metadata"]["name"].startswith(rendering.RELEASE), name


def test_a_registry_mirror_takes_the_place_of_every_registry() -> None:
    objects = render({"global": {"imageRegistry": "mirror.example.org"}, "run": {"enabled": True}})
    images = {container["image"] for _, pod in pods(objects) for container in containers(pod)}
    assert images == {"mirror.example.org/mlflow/mlflow:v3.17.2-full", "mirror.example.org/library/postgres:17.12"}


def test_a_digest_takes_the_place_of_every_tag() -> None:
    digest = f"sha256:{'0' * 64}"
    values = {"image": {"digest": digest}, "postgresql": {"image": {"digest": digest}}, "run": {"enabled": True}}
    images = {container["image"] for _, pod in pods(render(values)) for container in containers(pod)}
    assert images == {f"ghcr.io/mlflow/mlflow@{digest}", f"docker.io/library/postgres@{digest}"}


def test_the_migration_is_another_job_when_anything_in_it_changes() -> None:
    def name(values: Object) -> str:
        return str(one(render(values), "Job")["metadata"]["name"])

    assert name({}) == name({"tracking": {"replicaCount": 0}})
    assert len({name({}), name({"image": {"tag": "v3.18.0-full"}}), name({"migrate": {"timeoutSeconds": 5}})}) == 3


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(CHART)))
def test_a_template_is_short_and_asks_nobody(template: Path) -> None:
    content = template.read_text(encoding="utf-8")
    assert len(content.splitlines()) <= 230
    asked = re.findall(r"\b(lookup|rand[A-Z]\w+|uuidv4|genCA|gen\w*Cert|now|Release\.(Revision|Is\w+))\b", content)
    assert not asked
