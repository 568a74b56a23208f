"""Render the chart as Helm does, and find one's way in the result."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "collections/ansible_collections/nebari/mlflow/roles/server/files/mlflow"
RELEASE = "demo-mlflow"
NAMESPACE = "dev"
KUBERNETES = "v1.34.4"
"""Rendered for this version: a Helm that is built with `go install` takes itself for one of 1.20."""

Object = dict[str, Any]


def helm() -> str:
    """Find Helm: `HELM` names one, else the checkout's own, else the one on PATH."""
    own = ROOT / ".cluster/bin/helm"
    found = os.environ.get("HELM") or (str(own) if own.exists() else shutil.which("helm"))
    if not found:
        raise AssertionError("There is no helm in .cluster/bin or on PATH: run `make cluster`.")
    return found


def run(*arguments: str, values: Object | None = None) -> subprocess.CompletedProcess[str]:
    """Run Helm; the values go in through standard input."""
    return subprocess.run(
        [helm(), *arguments, "--kube-version", KUBERNETES, *(["-f", "-"] if values is not None else [])],
        input=None if values is None else json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
    )


@cache
def rendered(release: str, values: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Render these values, written as JSON, once."""
    return run("template", release, str(CHART), "-n", NAMESPACE, *arguments, values=json.loads(values))


def text(values: Object | None = None, *arguments: str, release: str = RELEASE) -> str:
    """Render to text."""
    done = rendered(release, json.dumps(values or {}), *arguments)
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout


def render(values: Object | None = None, *arguments: str, release: str = RELEASE) -> list[Object]:
    """Render to objects."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml is there
    return [item for item in yaml.load_all(text(values, *arguments, release=release), Loader=loader) if item]


def refusal(values: Object, *arguments: str, release: str = RELEASE) -> str:
    """Render what must be refused, and return the sentence."""
    done = rendered(release, json.dumps(values), *arguments)
    if not done.returncode:
        raise AssertionError(f"{values} was not refused")
    return done.stderr


def names(sentence: str, key: str) -> bool:
    """Say if a refusal names a key that is missing, in the words of any Helm."""
    return re.search(rf"'{re.escape(key)}'|: {re.escape(key)} is required", sentence) is not None


def one(objects: list[Object], kind: str, name: str = "") -> Object:
    """Return the one object of this kind, or of this kind and name."""
    found = [item for item in objects if item["kind"] == kind and name in ("", item["metadata"]["name"])]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} objects are {kind} {name}")
    return found[0]


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Yield each pod's specification with the name of what makes it."""
    for item in objects:
        if item["kind"] == "Pod":
            yield f"Pod/{item['metadata']['name']}", item["spec"]
        elif "template" in item.get("spec", {}):
            yield f"{item['kind']}/{item['metadata']['name']}", item["spec"]["template"]["spec"]


def containers(pod: Object) -> list[Object]:
    """Return all containers of a pod, those that start first included."""
    found: list[Object] = [*pod.get("initContainers", []), *pod["containers"]]
    return found


def server(objects: list[Object]) -> Object:
    """Return the container of the tracking server."""
    found: Object = one(objects, "Deployment", f"{RELEASE}-tracking")["spec"]["template"]["spec"]["containers"][0]
    return found


def env(container: Object) -> dict[str, Any]:
    """Return a container's environment: a value, or where it comes from."""
    entries = container["env"]
    found = {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in entries}
    if len(found) != len(entries):
        raise AssertionError("a variable is set twice")
    return found
