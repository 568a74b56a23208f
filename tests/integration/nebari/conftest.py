"""The cluster that the tests of the Nebari door use, with Traefik's kinds known to it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support import kubectl

from .support import HERE, README, Project, project

KINDS = ("ingressroutes.traefik.io", "middlewares.traefik.io")


@pytest.fixture(scope="session", autouse=True)
def _traefik_kinds() -> None:
    """Make them known where Traefik is not installed. They stay: taking them away would take every route along."""
    if "KUBECONFIG" not in os.environ:
        pytest.fail("KUBECONFIG names no cluster; run `make up`, or `make test`")
    present = kubectl("get", "customresourcedefinitions", "-o", "name")
    if not all(kind in present for kind in KINDS):
        kubectl("apply", "-f", str(HERE / "traefik-crds.yaml"))


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project that was deployed by `nebari deploy`, with the README's block."""
    with project(tmp_path_factory.mktemp("door"), "Door_1", "door-one") as made:
        made.configure(README["mlflow"])
        code, output = made.nebari("deploy")
        assert code == 0, output
        yield made
