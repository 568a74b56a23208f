"""The simulated accounts of tests/integration/clouds."""

from __future__ import annotations

from tests.integration.clouds.conftest import aws_lab, azure_lab, enter, gcp_lab, labs

__all__ = ["aws_lab", "azure_lab", "enter", "gcp_lab", "labs"]
