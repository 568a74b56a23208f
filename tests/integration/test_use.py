"""What a team logs stays: through the in-cluster address, with a large artifact, past the loss of every pod."""

from __future__ import annotations

import uuid

import pytest

from tests.support import ROOT, kubectl, run_pod

URI = "http://demo-mlflow-tracking.dev.svc:5000"
CLIENT = (ROOT / "molecule/shared/files/client.py").read_text()


def said(log: str) -> str:
    """The client's own line; MLflow's can come after it, since they go to another stream."""
    (line,) = [line for line in log.splitlines() if line.startswith(("logged run", "read run"))]
    return line


@pytest.mark.cluster
def test_run_with_large_artifact_and_model_survives_deleted_pods() -> None:
    name = f"by-use-{uuid.uuid4().hex[:8]}"
    logged = run_pod("dev", "writer", CLIENT, "write", "200", MLFLOW_TRACKING_URI=URI, BY_USE=name)
    assert "200 MiB" in said(logged)
    kubectl("-n", "dev", "delete", "pods", "--all")
    read = run_pod("dev", "reader", CLIENT, "read", MLFLOW_TRACKING_URI=URI, BY_USE=name)
    assert said(read) == said(logged).replace("logged", "read")
    kubectl("-n", "dev", "delete", "pods", "writer", "reader", "--ignore-not-found")


@pytest.mark.cluster
def test_a_pod_without_a_label_does_not_get_in() -> None:
    script = (
        "import urllib.request\n"
        "try:\n"
        f"    urllib.request.urlopen('{URI}/health', timeout=5)\n"
        "except OSError as error:\n"
        "    print('refused', error)\n"
    )
    assert "refused" in run_pod("dev", "stranger", script, labels={})
    kubectl("-n", "dev", "delete", "pod", "stranger")
