"""The shipped playbooks say what they would change in every layer, the cloud's and the cluster's."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.support import play

from .lab import Lab

pytestmark = pytest.mark.cluster
RELEASE = {
    "mlflow_provider": "aws",
    "mlflow_project_name": "layers",
    "mlflow_namespace": "layers-planned-only",
    "mlflow_kubeconfig": os.environ.get("KUBECONFIG", ""),
}


def test_a_plan_names_the_bucket_and_the_server(aws_lab: Lab) -> None:
    played = play("mlflow", "--check", **RELEASE, **aws_lab.variables)
    assert played.returncode == 0, played.failure
    kinds = [change["kind"] for change in played.mlflow["changes"]]
    assert kinds.index("S3 bucket") < kinds.index("Namespace") < kinds.index("Deployment")
    assert aws_lab.cloud.writes() == []


def test_a_removal_says_which_bucket_is_kept(aws_lab: Lab) -> None:
    bucket = str(aws_lab.converge(project="layers", namespace="layers-planned-only")["storage"]["uri"]).split("/")[2]
    aws_lab.cloud.calls.clear()
    played = play("destroy", "--check", **RELEASE, **aws_lab.variables)
    assert played.returncode == 0, played.failure
    assert {"kind": "S3 bucket", "name": bucket} in played.mlflow["kept"]
    assert "IAM role" in [change["kind"] for change in played.mlflow["changes"]]
    assert aws_lab.cloud.writes() == []


CANNOT_WORK: dict[str, tuple[dict[str, Any], str]] = {
    "an argument": ({"tracking": {"extraArgs": ["--static-prefix=/x"]}}, "must not hold --static-prefix"),
    "a registry": ({"image": {"registry": "https://mirror.example.org"}}, "is not a registry"),
    "a storage class": (
        {"postgresql": {"primary": {"persistence": {"storageClass": "nope"}}}},
        "no StorageClass 'nope'",
    ),
}


@pytest.mark.parametrize("case", CANNOT_WORK)
def test_impossible_values_are_refused_before_the_cloud_changes(aws_lab: Lab, case: str) -> None:
    overrides, told = CANNOT_WORK[case]
    aws_lab.cloud.calls.clear()
    played = play("mlflow", **RELEASE, **aws_lab.variables, mlflow_overrides=overrides)
    assert told in played.failure
    assert aws_lab.cloud.writes() == []
