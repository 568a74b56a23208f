"""Nebari's real command line, loaded once, its calls to the clouds answered here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

GCP_INSTANCES = ["e2-standard-8", "e2-highmem-4", "e2-standard-4"]
AZURE_VERSIONS = ["1.30.5"]


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
