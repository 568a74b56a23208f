"""The cluster that the tests of the Nebari door use, which knows Traefik's kinds, and the project that they share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support import kubectl

from .support import README, Project, project

KINDS = {"ingressroutes.traefik.io", "middlewares.traefik.io"}


@pytest.fixture(scope="session", autouse=True)
def _traefik_kinds() -> None:
    if "KUBECONFIG" not in os.environ:
        pytest.fail("KUBECONFIG names no cluster; run `make edge`, or `make test`")
    names = kubectl("get", "customresourcedefinitions", "-o", "jsonpath={.items[*].metadata.name}")
    if not KINDS.issubset(names.split()):
        pytest.fail("The cluster does not know Traefik's kinds; run `make edge`, or `make test`")


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project that was deployed by `nebari deploy`, with the README's block."""
    with project(tmp_path_factory.mktemp("door"), "Door_1", "door-one") as made:
        made.configure(README["mlflow"])
        code, output = made.nebari("deploy")
        assert code == 0, output
        yield made
