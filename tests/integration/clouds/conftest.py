"""One simulated account for each cloud, kept for a whole session."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.simulators import aws, azure, gcp
from tests.unit.chart.rendering import CHART

from .aws_lab import AwsLab, keep_session
from .azure_lab import SUBSCRIPTION, AzureLab
from .gcp_lab import CLOUD_PROJECT, NUMBER, GcpLab
from .lab import Lab

sys.path.insert(0, str(CHART / "files"))  # whose script verifies a deploy
CLOUDS = ["aws", "gcp", "azure"]
FASTER = 50


@pytest.fixture(scope="session")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Lab]]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with ExitStack() as stack:

        def folder(name: str) -> Path:
            return tmp_path_factory.mktemp(name)

        yield {
            "aws": AwsLab(*stack.enter_context(aws.serve(folder("aws")))),
            "azure": AzureLab(*stack.enter_context(azure.serve(folder("azure"), SUBSCRIPTION))),
            "gcp": GcpLab(*stack.enter_context(gcp.serve(folder("gcp"), CLOUD_PROJECT, NUMBER))),
        }


@pytest.fixture
def enter(labs: dict[str, Lab], monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Lab]]:
    """Give each test a fresh account, and its process that cloud's environment."""
    for name in [key for key in os.environ if key.startswith(("AWS_", "ARM_", "AZURE_", "GOOGLE_", "GCP_"))]:
        monkeypatch.delenv(name)
    yield labs
    for lab in labs.values():
        assert lab.proxy.refused == []
        lab.cloud.clear()
        lab.extra = {}


@pytest.fixture(params=CLOUDS)
def lab(request: pytest.FixtureRequest, enter: dict[str, Lab], monkeypatch: pytest.MonkeyPatch) -> Lab:
    return prepare(enter[request.param], monkeypatch)


@pytest.fixture
def aws_lab(enter: dict[str, Lab], monkeypatch: pytest.MonkeyPatch) -> Lab:
    return prepare(enter["aws"], monkeypatch)


@pytest.fixture
def gcp_lab(enter: dict[str, Lab], monkeypatch: pytest.MonkeyPatch) -> Lab:
    return prepare(enter["gcp"], monkeypatch)


@pytest.fixture
def azure_lab(enter: dict[str, Lab], monkeypatch: pytest.MonkeyPatch) -> Lab:
    return prepare(enter["azure"], monkeypatch)


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    """Load boto3's descriptions of the services once instead of for each run; let time pass where somebody sleeps."""
    sleep, monotonic = time.sleep, time.monotonic
    slept = [0.0]

    def pass_time(seconds: float) -> None:
        slept[0] += seconds
        sleep(min(seconds / FASTER, 0.02))

    with pytest.MonkeyPatch.context() as patch:
        keep_session(patch)
        patch.setattr(time, "sleep", pass_time)
        patch.setattr(time, "monotonic", lambda: monotonic() + slept[0])
        yield


def prepare(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    for name, value in lab.environment().items():
        monkeypatch.setenv(name, value)
    lab.reset()
    return lab


@pytest.fixture
def campaign() -> bool:
    """Whether to try every case, which takes many minutes, instead of a slice."""
    return os.environ.get("NEBARI_MLFLOW_CAMPAIGN") == "1"
