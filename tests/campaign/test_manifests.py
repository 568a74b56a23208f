"""What the chart renders fits the schemas of every Kubernetes version that is supported.

The schemas are those of Kubernetes itself, from the module k8s.io/kubernetes of the newest patch of each minor version.
Go fetches them once, 18 MB each, into the cache that all checkouts share.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.support import CACHE, ROOT
from tests.unit.chart.configurations import CONFIGURATIONS
from tests.unit.chart.rendering import CHART, helm, render

pytestmark = pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it")

MODULE = "k8s.io/kubernetes"
SCHEMAS = CACHE / "kubernetes-schemas"
LOOSE: dict[str, dict[str, Any]] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["integer", "string"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["number", "string"]},
}
"""What the published schema calls a string, and the API server takes as a number as well."""
UNLISTED = {28: 15}
"""Newest patches of minor versions that a module proxy may have and not list."""
FOREIGN = {"IngressRoute", "Middleware", "HTTPRoute", "NebariApp", "ServiceMonitor", "PrometheusRule"}
"""Kinds of others, which Kubernetes has no schema of."""
CASES = {
    **CONFIGURATIONS,
    **{
        f"example {path.stem}": yaml.safe_load(path.read_text())
        for path in sorted((ROOT / "docs/examples/chart").iterdir())
    },
}


def go(*arguments: str, cache_folder: Path) -> str:
    """Run Go without a project."""
    own = CACHE / "go-pypi/go/bin/go"
    program = shutil.which("go") or (str(own) if own.exists() else None)
    if program is None:
        pytest.skip("needs Go, to fetch Kubernetes' own schemas")
    env = {**os.environ, "GOMODCACHE": str(cache_folder), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
    done = subprocess.run([program, *arguments], cwd=cache_folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def versions() -> list[str]:
    """The newest patch of each minor version that the chart accepts."""
    least = re.search(r"1\.(\d+)", yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"])
    assert least
    SCHEMAS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        listed = go("list", "-m", "-versions", MODULE, cache_folder=Path(folder)).split()
    found: dict[int, int] = dict(UNLISTED)
    for version in listed:
        if (parts := re.fullmatch(r"v1\.(\d+)\.(\d+)", version)) and int(parts[1]) >= int(least[1]):
            found[int(parts[1])] = max(found.get(int(parts[1]), 0), int(parts[2]))
    assert sorted(found) == list(range(int(least[1]), max(found) + 1)), "a minor version is missing: see UNLISTED"
    return [f"v1.{minor}.{patch}" for minor, patch in sorted(found.items())]


@cache
def schema(version: str) -> dict[str, Any]:
    """Kubernetes' own schema, in which unknown fields are mistakes."""
    path = SCHEMAS / f"{version}.json"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            module = json.loads(go("mod", "download", "-json", f"{MODULE}@{version}", cache_folder=Path(folder)))
            with zipfile.ZipFile(module["Zip"]) as archive:
                text = archive.read(f"{MODULE}@{version}/api/openapi-spec/swagger.json")
        definitions = json.loads(text)["definitions"]
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps({"definitions": definitions}))
        part.replace(path)
    read: dict[str, Any] = json.loads(path.read_text())
    for name, definition in read["definitions"].items():
        if name in LOOSE:
            read["definitions"][name] = LOOSE[name]
        elif "properties" in definition and "x-kubernetes-preserve-unknown-fields" not in definition:
            definition["additionalProperties"] = False
    return read


@cache
def kinds(version: str) -> dict[tuple[str, str], str]:
    """The name of the definition for each apiVersion and kind."""
    found = {}
    for name, definition in schema(version)["definitions"].items():
        for each in definition.get("x-kubernetes-group-version-kind", []):
            api = f"{each['group']}/{each['version']}" if each["group"] else each["version"]
            found[api, each["kind"]] = name
    return found


@cache
def validator(version: str, definition: str) -> jsonschema.Draft4Validator:
    """Return what checks objects of one kind."""
    return jsonschema.Draft4Validator({**schema(version), "$ref": f"#/definitions/{definition}"})


def mistakes(item: dict[str, Any], version: str) -> list[str]:
    """Return what Kubernetes would not accept of an object."""
    where = f"{item['kind']}/{item['metadata']['name']}"
    definition = kinds(version).get((item["apiVersion"], item["kind"]))
    if definition is None:
        return [] if item["kind"] in FOREIGN else [f"{where}: {version} has no {item['apiVersion']} {item['kind']}"]
    errors = validator(version, definition).iter_errors(item)
    return [f"{where}: {error.json_path}: {error.message}" for error in errors]


def test_every_manifest_fits_every_supported_kubernetes(versions: list[str]) -> None:
    templates = [path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file()]
    assert not [text for text in templates if "KubeVersion" in text], "render for each version: the manifests differ"
    objects = {json.dumps(item): name for name, values in CASES.items() for item in render(values)}
    assert len(objects) > 100
    found = []
    for version in versions:
        command = [helm(), "template", "demo-mlflow", str(CHART), "--kube-version", version]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{version}: {done.stderr}"
        found += [
            f"{version}, {name}: {said}"
            for item, name in objects.items()
            for said in mistakes(json.loads(item), version)
        ]
        schema.cache_clear()
        validator.cache_clear()
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"spec": {"replicass": 1}}, "replicass"),
        ({"spec": {"replicas": "one"}}, "is not of type 'integer'"),
        ({"apiVersion": "apps/v1beta1"}, "has no apps/v1beta1 Deployment"),
    ],
)
def test_a_field_that_kubernetes_does_not_know_is_found(versions: list[str], change: dict[str, Any], said: str) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "b"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    fine: dict[str, Any] = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec}
    assert mistakes(fine, versions[0]) == []
    wrong = {**fine, **change, "spec": {**spec, **change.get("spec", {})}}
    (mistake,) = mistakes(wrong, versions[0])
    assert said in mistake
