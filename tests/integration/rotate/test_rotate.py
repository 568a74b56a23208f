"""Passwords and keys are replaced while clients write, by the command line on the cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.rotate.support import FORMER, PLANTED, Rotated, Writer, kill, reach, until
from tests.support import kubectl

pytestmark = pytest.mark.cluster
LONG = pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it")
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rotated]:
    """A deployed project in whose database MLflow's keys encrypted something."""
    folder: Path = tmp_path_factory.mktemp("rotate")
    project = Rotated(folder, f"rotate-test-{os.getpid()}", os.environ["KUBECONFIG"])
    project.configure_servers()
    try:
        project.do("deploy")
        assert project.of_mlflow("write") == PLANTED
        yield project
    finally:
        kubectl("delete", "namespace", project.namespace, "--ignore-not-found", "--wait=false")


def pods(project: Rotated) -> str:
    return project.kubectl("get", "pods", "-l", "app.kubernetes.io/instance", "-o", "jsonpath={..metadata.uid}")


def test_no_request_fails_while_everything_is_rotated(rotated: Rotated, record_property: Record) -> None:
    former = rotated.values()
    assert rotated.do("rotate", "--dry-run")["outputs"]["secrets"] == [
        f"{rotated.release}-{x}" for x in ("keys", "postgresql")
    ]
    assert rotated.values() == former
    with Writer(rotated) as writer:
        began = time.monotonic()
        outputs = rotated.do("rotate")["outputs"]
        took = time.monotonic() - began
    result = writer.result()
    print(f"{took:.0f} s: {result}")
    record_property("row", f"{took:.0f} s {result}")
    rotated.check(former)
    assert outputs["database"]["webhooks"] == outputs["database"]["gateway_secrets"] == 3
    assert rotated.old_connections() == []
    assert result["failures"] == []
    assert result["written"] == result["found"] > 20
    assert set(result["plain"]) == {"log-metric 200", "webhooks 200"}
    for value in {*former.values(), *rotated.values().values()}:
        assert value not in rotated.kubectl("get", "events,pods,jobs,configmaps", "-o", "yaml")


def test_a_deploy_after_a_rotation_restarts_nothing(rotated: Rotated) -> None:
    before = pods(rotated)
    assert rotated.do("deploy")["outputs"]["changes"] == []
    assert pods(rotated) == before


def test_a_server_opens_rows_of_the_other_key(rotated: Rotated) -> None:
    assert rotated.of_mlflow("other") == PLANTED


def test_a_connection_of_the_former_password_is_replaced_before_it_is_used(rotated: Rotated) -> None:
    assert rotated.python(FORMER).split() == ["same", "another", "first"]


def test_a_killed_rotation_is_carried_on(rotated: Rotated) -> None:
    former = rotated.values()
    process = rotated.start()
    reach(rotated, process, "swapped")
    kill(process)
    assert rotated.do("verify")["proof"]
    (told,) = [each for each in rotated.do("doctor")["checks"] if each["name"] == "rotation"]
    assert told["fix"].startswith("nebari-mlflow rotate")
    rotated.do("rotate")
    rotated.check(former)


def test_a_database_outside_is_not_rotated(rotated: Rotated, tmp_path: Path) -> None:
    outside = Rotated(tmp_path, rotated.namespace, rotated.kubeconfig)
    outside.configure_servers()
    with (tmp_path / "vars.yml").open("a") as stream:
        stream.write("mlflow_database: {secret: database}\n")
    before = rotated.values()
    refused = outside.refusal("rotate")
    assert "ALTER ROLE" in str(refused)
    assert "Secret database" in str(refused)
    assert rotated.values() == before


MOMENTS: dict[str, Callable[[Rotated], bool]] = {
    "announced": lambda project: project.state() == "announced",
    "one of two announced": lambda project: project.state("keys") == "announced",
    "one of two swapped": lambda project: project.state("keys") == "swapped",
    "swapped": lambda project: project.state() == "swapped",
    "job": lambda project: f"{project.release}-rekey" in project.kubectl("get", "jobs", "-o", "name"),
    "one of two finished": lambda project: project.state("keys") == "" and project.state() == "swapped",
}


@LONG
@pytest.mark.parametrize("later", [0, 5, 15])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_rotation_killed_anywhere_loses_nothing(
    rotated: Rotated, moment: str, later: int, record_property: Record
) -> None:
    for job in rotated.kubectl("get", "jobs", "-o", "name").split():
        if "-rekey-" in job:
            rotated.kubectl("delete", job)
    former = rotated.values()
    with Writer(rotated) as writer:
        process = rotated.start()
        until(lambda: MOMENTS[moment](rotated) or process.poll() is not None)
        time.sleep(later)
        ended = process.poll() is not None
        kill(process)
        left = f"{rotated.state('keys') or 'idle'}/{rotated.state() or 'idle'}"
        rotated.do("rotate")
    result = writer.result()
    record_property("row", f"{moment} +{later} s{' (ended)' if ended else ''}: left {left}; {result}")
    rotated.check(former)
    assert result["failures"] == []
    assert result["written"] == result["found"]


@LONG
@pytest.mark.parametrize("victim", ["postgresql-0", "rekey"])
def test_a_pod_killed_during_a_rotation_loses_nothing(rotated: Rotated, victim: str) -> None:
    former = rotated.values()
    process = rotated.start()
    reach(rotated, process, "swapped")
    if victim == "rekey":
        until(lambda: any("-rekey-" in name for name in rotated.kubectl("get", "pods", "-o", "name").split()[-9:]))
    for pod in rotated.kubectl("get", "pods", "-o", "name").split():
        if victim in pod:
            rotated.kubectl("delete", pod, "--grace-period=0", "--force")
    process.communicate()
    rotated.do("rotate")
    rotated.check(former)


@LONG
def test_with_a_pause_mlflows_clients_fail_nothing(rotated: Rotated, record_property: Record) -> None:
    """Recreate, the default: one restart, during which clients try again."""
    rotated.configure_servers("Recreate")
    rotated.do("deploy")
    former = rotated.values()
    with Writer(rotated) as writer:
        rotated.do("rotate")
    result = writer.result()
    record_property("row", str(result))
    rotated.check(former)
    assert result["failures"] == []
    assert result["written"] == result["found"]
