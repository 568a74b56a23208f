"""What of Helm's errors passes by itself, and is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.release import helm
from ansible_collections.nebari.mlflow.plugins.module_utils.release.helm import Helm, HelmError, patiently
from ansible_collections.nebari.mlflow.plugins.module_utils.release.options import Options

if TYPE_CHECKING:
    from pathlib import Path

BUSY_ONCE = """#!/bin/sh
[ "$1" = template ] || exit 0
if mkdir "$0.asked" 2>/dev/null; then
  echo "Error: the server has received too many requests and has asked us to try again later" >&2
  exit 1
fi
echo rendered
"""


@pytest.mark.parametrize(
    ("said", "passes"),
    [
        ('Kubernetes cluster unreachable: Get "https://10.0.0.1/version": EOF', True),
        ("etcdserver: request timed out", True),
        ("http2: client connection lost", True),
        ("watch closed before UntilWithoutRetry timeout", True),
        ('1 error occurred:\n\t* pods "one-test" is forbidden: exceeded quota: q, requested: pods=1', True),
        ('1 error occurred:\n\t* pods "one-test" is forbidden: violates PodSecurity "restricted:latest"', False),
        ("pod one-test failed", False),
        ("timed out waiting for the condition", False),
        ("execution error at (mlflow/templates/secret.yaml:3:5): storage.uri is required", False),
        ('Deployment.apps "one" is invalid: spec.replicas: Invalid value: -1', False),
    ],
)
def test_what_passes_by_itself_is_tried_again(said: str, passes: bool) -> None:
    output = f"NAME: one\nPhase:          Failed\n\n\nError: {said}\n"
    assert HelmError("test", output).transient is passes


@pytest.mark.parametrize("early", [True, False])
def test_rendering_is_tried_again_by_a_new_helm(early: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helm, "PAUSES", (0.0,))
    program = tmp_path / "helm"
    program.write_text(BUSY_ONCE)
    program.chmod(0o700)
    it = Helm(Options(name="one", namespace="two", chart="/chart", helm=str(program)))
    if early:
        it.begin()
    assert patiently(it.template) == "rendered\n"
    it.stop()
