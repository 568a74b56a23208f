"""What of Helm's errors passes by itself, and is tried again."""

from __future__ import annotations

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.release.helm import HelmError


@pytest.mark.parametrize(
    ("said", "passes"),
    [
        ('Kubernetes cluster unreachable: Get "https://10.0.0.1/version": EOF', True),
        ("etcdserver: request timed out", True),
        ("http2: client connection lost", True),
        ('unable to get pod logs for one-test: pods "one-test" not found', True),
        (
            'unable to get pod logs for one-test: container "test" in pod "one-test" is waiting to start: '
            "ContainerCreating",
            True,
        ),
        ("pod one-test failed", False),
        ("timed out waiting for the condition", False),
        ("execution error at (mlflow/templates/secret.yaml:3:5): storage.uri is required", False),
        ('Deployment.apps "one" is invalid: spec.replicas: Invalid value: -1', False),
    ],
)
def test_what_passes_by_itself_is_tried_again(said: str, passes: bool) -> None:
    output = f"NAME: one\nPhase:          Failed\n\n\nError: {said}\n"
    assert HelmError("test", output).transient is passes
