"""Upgrades of the database that are killed or fail at every step: the next run ends well, and nothing is lost.

Prints a table: what was done when, what the next run made of it, and how long it took.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import pytest

from tests.integration import old_mlflow
from tests.integration.backup.support import Backed
from tests.integration.backup.test_upgrade import NEW, OLD, assert_serves, revision, server
from tests.integration.nebari.support import CLI
from tests.support import kubectl

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it"),
]
TAG = old_mlflow.tag(OLD)
HOLD = "BEGIN; LOCK TABLE jobs IN SHARE MODE; SELECT pg_sleep(900); COMMIT"  # a dump may read it, a migration must wait
KEPT = "in the schema nebari_mlflow_before of the same database"
Row = Callable[[str, object], None]


def configure(project: Backed, tag: str = "", **tracking: Any) -> None:
    project.configure(tag=tag, tracking=tracking, volume={"create": False})


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Backed, dict[str, Any], str]]:
    """A project of an older MLflow, with what a client can read of it and the schema that it has."""
    old_mlflow.image(OLD)
    project = Backed(
        tmp_path_factory.mktemp("upgrade"), f"upgrade-kills-{os.getpid()}", os.environ["KUBECONFIG"], name="old"
    )
    try:
        configure(project, TAG)
        project.do("deploy")
        project.write("before")
        yield project, project.read(), revision(project)
    finally:
        kubectl("delete", "namespace", project.namespace, "--ignore-not-found", "--wait=false")


@pytest.fixture
def old(kept: tuple[Backed, dict[str, Any], str]) -> Backed:
    """The project, of the older version again."""
    project, _, schema = kept
    configure(project, TAG)
    if revision(project) != schema or not server(project)["spec"]["template"]["spec"]["containers"][0][
        "image"
    ].endswith(TAG):
        done = project.run("deploy", "--go-back", project.name)
        assert done.returncode == 0, done.stdout + done.stderr
        assert KEPT in done.stdout + done.stderr
    if project.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'nebari_mlflow_before'").strip() == "1":
        project.do("restore", "--discard", "--yes")  # the next upgrade would be refused, with this command
    assert_serves(project, TAG)
    return project


PHASES = 'go-template={{range .items}}{{.metadata.name}} {{.status.phase}}{{"\\n"}}{{end}}'


def running(project: Backed, task: str) -> list[str]:
    """Return the pods of Jobs of this task that have not ended."""
    rows = [line.split() for line in project.kubectl("get", "pods", "-o", PHASES).splitlines()]
    mine = f"{project.release}-{task}-"
    return [name for name, phase in rows if name.startswith(mine) and phase in ("Pending", "Running")]


def job(project: Backed, task: str) -> Callable[[], bool]:
    return lambda: bool(running(project, task))


def image(project: Backed) -> str:
    return str(server(project)["spec"]["template"]["spec"]["containers"][0]["image"])


MOMENTS: dict[str, Callable[[Backed, str], Callable[[], bool]]] = {
    "examining": lambda project, _: job(project, "examine"),
    "backing up": lambda project, _: job(project, "backup"),
    "stopped": lambda project, _: lambda: server(project)["spec"]["replicas"] == 0,
    "migrating": lambda project, _: job(project, "upgrade"),
    "migrated": lambda project, schema: lambda: revision(project) != schema,
    "released": lambda project, _: lambda: image(project).endswith(NEW),
    "starting": lambda project, _: (
        lambda: image(project).endswith(NEW) and server(project)["status"].get("readyReplicas", 0) > 0
    ),
}

UNCHANGED = ("examining", "backing up")
"""Moments at which nothing is changed yet. A deploy of the same version as before then has no upgrade to go back from,
so the Jobs' scripts stay until the next upgrade, or until their owner goes, the Deployment."""


def start(project: Backed) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [CLI, "deploy", "--vars", "vars.yml", "--json"],
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    while not reached():
        assert process.poll() is None, process.communicate()
        time.sleep(0.3)


def kill(process: subprocess.Popen[str]) -> None:
    """Kill -9 the command and everything that it started."""
    for each in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue
    process.communicate()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("then", ["carries on", "goes back"])
def test_a_killed_upgrade_is_finished_or_taken_back(
    kept: tuple[Backed, dict[str, Any], str], old: Backed, moment: str, then: str, record_property: Row
) -> None:
    _, before, schema = kept
    configure(old)
    process = start(old)
    wait(process, MOMENTS[moment](old, schema))
    kill(process)
    began = time.monotonic()
    if then == "goes back":
        configure(old, TAG)
    done = old.run("deploy", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    record_property("row", f"killed while {moment:10}  the next run {then}  {time.monotonic() - began:5.1f} s")
    assert (revision(old) == schema) is (then == "goes back")
    if then == "goes back" and moment in UNCHANGED:
        scripts = [each for each in old.kubectl("get", "configmap", "-o", "name").split() if each.endswith("-upgrade")]
        old.kubectl("delete", *scripts)
    assert_serves(old, TAG if then == "goes back" else NEW)
    assert old.read() == before


@contextmanager
def held(project: Backed) -> Iterator[None]:
    """Hold a lock on a table that the migration changes."""
    pod = f"{project.release}-postgresql-0"
    hold = ["kubectl", "-n", project.namespace, "exec", pod, "--", "psql", "-U", "postgres", "-d", "mlflow", "-c", HOLD]
    holder = subprocess.Popen(hold, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        with suppress(AssertionError):  # the database itself may be the victim
            project.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%'")
        holder.wait()


@pytest.mark.parametrize("victim", ["examine", "backup", "upgrade", "database"])
def test_a_killed_pod_leaves_the_old_version_serving(
    kept: tuple[Backed, dict[str, Any], str], old: Backed, victim: str, record_property: Row
) -> None:
    _, before, schema = kept
    task = "upgrade" if victim == "database" else victim
    configure(old)
    began = time.monotonic()
    with held(old):
        process = start(old)
        wait(process, job(old, task))
        time.sleep(3 if task == "upgrade" else 0)
        pods = [f"{old.release}-postgresql-0"] if victim == "database" else running(old, task)
        old.kubectl("delete", "pod", *pods, "--grace-period=0", "--force")
    said = process.communicate(timeout=900)[0]
    assert process.returncode == 1, said
    record_property("row", f"pod of {victim:8} killed  {time.monotonic() - began:5.1f} s")
    assert revision(old) == schema
    assert_serves(old, TAG)
    assert old.read() == before


def test_a_new_version_that_does_not_start_is_taken_back(
    kept: tuple[Backed, dict[str, Any], str], old: Backed, record_property: Row
) -> None:
    _, before, schema = kept
    configure(old, extraArgs=["--no-such-option"])
    began = time.monotonic()
    refused = old.refusal("deploy")
    record_property("row", f"a server that does not start, taken back  {time.monotonic() - began:5.1f} s")
    assert "serves again" in refused["cause"]
    assert revision(old) == schema
    assert_serves(old, TAG)
    assert old.read() == before
    old.do("restore", "--discard", "--yes")


def test_another_programs_lock_ends_the_upgrade_and_is_named(
    kept: tuple[Backed, dict[str, Any], str], old: Backed
) -> None:
    _, before, schema = kept
    configure(old)
    with held(old):
        refused = old.refusal("deploy")
    assert "lock timeout" in refused["cause"]
    assert revision(old) == schema
    assert_serves(old, TAG)
    assert old.read() == before


def test_two_upgrades_at_once_take_turns(kept: tuple[Backed, dict[str, Any], str], old: Backed) -> None:
    _, before, _ = kept
    configure(old)
    process = start(old)
    wait(process, job(old, "backup"))
    refused = old.refusal("deploy")
    assert refused["code"] == "NML404"
    assert f"Another deploy of {old.release} in namespace {old.namespace} is running" in refused["cause"]
    said = process.communicate(timeout=900)[0]
    assert process.returncode == 0, said
    assert_serves(old, NEW)
    assert old.read() == before


def test_an_older_version_is_refused_before_anything_changes(
    kept: tuple[Backed, dict[str, Any], str], old: Backed
) -> None:
    _, before, _ = kept
    configure(old)
    old.do("deploy")
    configure(old, TAG)
    refused = old.refusal("deploy")
    assert refused["code"] == "NML432"
    assert "--go-back" in refused["fix"]
    assert image(old).endswith(NEW)
    assert old.read() == before
