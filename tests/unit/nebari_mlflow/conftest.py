"""What these tests share: a cluster that is gone, and the clouds' answers to Nebari while it validates."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

GCP_INSTANCES = ["e2-standard-8", "e2-highmem-4", "e2-standard-4"]
AZURE_VERSIONS = ["1.30.5"]


@pytest.fixture
def gone(tmp_path: Path) -> str:
    """A kubeconfig of a cluster that refuses connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{probe.getsockname()[1]}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "CANARY-token"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def variables(tmp_path: Path) -> str:
    path = tmp_path / "vars.yml"
    path.write_text(yaml.safe_dump({"provider": "local", "project_name": "My_Demo", "namespace": "dev"}))
    return str(path)


@pytest.fixture
def path_with_helm(tmp_path: Path) -> str:
    """A PATH with a helm that tells its version, which is all that is asked of it before the cluster is."""
    helm = tmp_path / "helm"
    helm.write_text("#!/bin/sh\necho v3.19.4\n")
    helm.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


@pytest.fixture
def _clouds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer what Nebari asks the clouds while it validates: credentials, regions, versions, machine types."""
    from _nebari.provider.cloud import amazon_web_services, azure_cloud, google_cloud

    answers: list[tuple[Any, str, Any]] = [
        (amazon_web_services, "check_credentials", None),
        (amazon_web_services, "regions", ["us-east-1"]),
        (amazon_web_services, "zones", ["us-east-1a", "us-east-1b"]),
        (amazon_web_services, "instances", {"m5.2xlarge": "", "m5.xlarge": "", "m6i.xlarge": "", "r5.xlarge": ""}),
        (amazon_web_services, "kubernetes_versions", ["1.30"]),
        (amazon_web_services, "kms_key_arns", {}),
        (google_cloud, "check_credentials", None),
        (google_cloud, "regions", ["us-central1"]),
        (google_cloud, "kubernetes_versions", ["1.30.5"]),
        (google_cloud, "instances", GCP_INSTANCES),
        (azure_cloud, "check_credentials", None),
        (azure_cloud, "kubernetes_versions", AZURE_VERSIONS),
    ]
    for module, name, answer in answers:
        if hasattr(module, name):
            monkeypatch.setattr(module, name, _answering(answer))


def _answering(answer: Any) -> Callable[..., Any]:
    return lambda *_args, **_kwargs: answer
