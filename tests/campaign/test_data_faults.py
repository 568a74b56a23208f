"""Faults in the middle of a backup and of a restore. Each is followed by what a person would do, and by a checker that
reads everything through MLflow's API and compares it with what was there.

Prints a table: what was injected, what the command said, and what was lost.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.backup.support import Backed, key
from tests.integration.nebari.support import CLI
from tests.integration.old_mlflow import on_node
from tests.support import MLFLOW_IMAGE, kubectl

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it"),
]
# So many that a dump and a load last long enough to be hit. The checker compares them by a checksum: a sum of floats
# depends on the order in which PostgreSQL reads them.
BULK = """
INSERT INTO experiments (name, lifecycle_stage, artifact_location)
  VALUES ('nebari-mlflow-verify: bulk', 'active', 'mlflow-artifacts:/bulk');
INSERT INTO runs (run_uuid, name, status, lifecycle_stage, experiment_id, artifact_uri)
  SELECT md5('bulk'), 'bulk', 'FINISHED', 'active', experiment_id, 'mlflow-artifacts:/bulk'
  FROM experiments WHERE name LIKE '%: bulk';
INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan)
  SELECT 'bulk', random(), n, md5('bulk'), n, false FROM generate_series(1, 400000) AS n;
"""
SUM = "SELECT count(*), md5(string_agg(step || ':' || value, ',' ORDER BY step)) FROM metrics WHERE key = 'bulk'"
PATIENCE = 240.0


@dataclass
class Table:
    """What happened: one line a fault, which is printed when its test has ended, with what there was until then."""

    lost: list[int] = field(default_factory=list)
    record: Callable[[str, object], None] = lambda _name, _value: None

    def add(self, fault: str, said: str, lost: int) -> None:
        self.lost.append(lost)
        total = f"{len(self.lost)} injected, {self.lost.count(0)} survived, {sum(self.lost)} lost"
        self.record("row", f"{fault:<66} lost {lost}  [{total}]  {' '.join(said.split())[:150]}")


@dataclass(frozen=True)
class World:
    """A project with a backup, what a client reads from it, and the table."""

    project: Backed
    before: dict[str, Any]
    bulk: str
    table: Table

    def lost(self) -> int:
        """Count what a client reads otherwise than before, and the rows that it does not read one by one."""
        now = self.project.read()
        different = [
            (part, name)
            for part in self.before
            for name in {*self.before[part], *now[part]}
            if self.before[part].get(name) != now[part].get(name)
        ]
        return len(different) + (self.project.sql(SUM).strip() != self.bulk)

    def check(self, fault: str, said: str) -> None:
        lost = self.lost()
        self.table.add(fault, said, lost)
        assert lost == 0, said


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("faults")
    project = Backed(folder, f"data-faults-{os.getpid()}", os.environ["KUBECONFIG"])
    project.configure(recipients=[key(folder / "key.txt")])
    table = Table()
    try:
        project.do("deploy")
        project.write("before")
        project.sql(BULK)
        project.do("backup", "--artifacts", "copy")
        yield World(project, project.read(), project.sql(SUM).strip(), table)
    finally:
        kubectl("delete", "namespace", project.namespace, "--ignore-not-found", "--wait=false")


@pytest.fixture(autouse=True)
def table(world: World, record_property: Callable[[str, object], None]) -> None:
    world.table.record = record_property


def until(check: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := check()):
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.1)
    return found


@contextmanager
def running(project: Backed, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command with processes of its own, of which none survives the block."""
    process = subprocess.Popen(
        [CLI, *arguments, "--vars", "vars.yml", "--json"],
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdout and not process.stdout.closed:
            process.communicate()


def pods(project: Backed) -> set[str]:
    listed = project.kubectl("get", "pods", "-l", "app.kubernetes.io/component=backup", "-o", "name")
    return set(listed.split())


def said_by(project: Backed, pod: str) -> str:
    done = subprocess.run(
        ["kubectl", "-n", project.namespace, "logs", pod, "-c", "backup"], capture_output=True, text=True, check=False
    )
    return done.stdout


def reached(project: Backed, known: set[str], words: str) -> str:
    """Wait until a new pod says this, and return its name."""
    return str(
        until(
            lambda: next((pod for pod in pods(project) - known if words in said_by(project, pod)), ""),
            f"a pod that says {words!r}",
        )
    )


def cause(output: str) -> str:
    start = output.find("{\n")
    if start < 0:
        return output.strip()[-150:]
    found, _ = json.JSONDecoder().raw_decode(output[start:])
    return str((found.get("error") or {}).get("cause") or "ok")


VICTIMS = ("client", "pod", "database")
MAKE, RESTORE = ("backup", "--artifacts", "copy"), ("restore", "--yes")
STEPS = [
    (MAKE, "opening the store"),
    (MAKE, "dumping the database"),
    (MAKE, "copying artifacts"),
    (RESTORE, "putting the present tables aside"),
    (RESTORE, "restoring the database"),
    (RESTORE, "comparing every table"),
]


def strike(world: World, victim: str, process: subprocess.Popen[str], pod: str) -> str:
    """Kill, and return what the command then said."""
    project = world.project
    if victim == "client":
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "killed"
    target = pod if victim == "pod" else f"pod/{project.release}-postgresql-0"
    project.kubectl("delete", target, "--grace-period=0", "--force", "--wait=false")
    output, _ = process.communicate()
    return cause(output)


def settle(project: Backed) -> None:
    """Wait until no pod works and the database is back, as a person does before the next try."""
    running_pods = [
        "get",
        "pods",
        "-l",
        "app.kubernetes.io/component=backup",
        "-o",
        "jsonpath={.items[*].status.phase}",
    ]
    until(lambda: not {"Running", "Pending"} & set(project.kubectl(*running_pods).split()), "the end of the pods")
    project.kubectl("rollout", "status", f"statefulset/{project.release}-postgresql", "--timeout=180s")


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize(
    ("task", "words"), STEPS, ids=lambda value: str(value[0] if isinstance(value, tuple) else value)
)
def test_a_kill_in_the_middle_loses_nothing(world: World, task: tuple[str, ...], words: str, victim: str) -> None:
    project = world.project
    known = pods(project)
    with running(project, *task) as process:
        pod = reached(project, known, words)
        said = strike(world, victim, process, pod)
    settle(project)
    if task is MAKE:
        complete = project.do("backup", "list")["outputs"]["backups"]
        assert not [each for each in complete if each.get("unusable")]
    else:
        project.run("restore", "--discard", "--yes")
        project.do(*task)
        project.do("restore", "--discard", "--yes")
    world.check(f"{victim} killed: {' '.join(task)}, {words}", said)


def test_two_restores_at_once_take_turns(world: World) -> None:
    project = world.project
    known = pods(project)
    with running(project, *RESTORE) as first:
        reached(project, known, "restoring the database")
        with ThreadPoolExecutor() as pool:
            others = [pool.submit(project.refusal, *command) for command in (RESTORE, ("deploy",))]
        refused, deploy = (each.result() for each in others)
        assert (refused["code"], deploy["code"]) == ("NML404", "NML404")
        output, _ = first.communicate()
        assert first.returncode == 0, output
    project.do("restore", "--discard", "--yes")
    world.check("two restores and a deploy at once", refused["cause"])


def test_two_backups_at_once_are_both_whole(world: World) -> None:
    project = world.project
    with running(project, *MAKE) as first:
        second = project.do(*MAKE)["outputs"]["id"]
        output, _ = first.communicate()
        assert first.returncode == 0, output
    made, _ = json.JSONDecoder().raw_decode(output[output.index("{\n") :])
    for each in (second, made["outputs"]["id"]):
        assert project.do("restore", each, "--drill")["outputs"]["backup"]["id"] == each
    world.check("two backups at once", "ok")


SHELL = """
apiVersion: v1
kind: Pod
metadata: {{name: store-shell}}
spec:
  restartPolicy: Never
  securityContext: {{runAsUser: 10001, runAsNonRoot: true, fsGroup: 10001}}
  containers:
    - name: shell
      image: {image}
      command: {command}
      volumeMounts: [{{name: backups, mountPath: /mlflow/backups}}]
  volumes: [{{name: backups, persistentVolumeClaim: {{claimName: {release}-backups}}}}]
"""


def in_store(project: Backed, *command: str) -> None:
    """Run a program where the backups are."""
    project.kubectl("delete", "pod", "store-shell", "--ignore-not-found", "--grace-period=0", "--force")
    project.kubectl(
        "apply", "-f", "-", stdin=SHELL.format(command=json.dumps(command), image=MLFLOW_IMAGE, release=project.release)
    )
    project.kubectl("wait", "pod/store-shell", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=90s")


def test_a_store_that_refuses_is_named_and_loses_nothing(world: World) -> None:
    project = world.project
    sets = f"/mlflow/backups/{project.namespace}/{project.release}/sets"
    in_store(project, "chmod", "0555", sets)
    try:
        refused = project.refusal(*MAKE)
    finally:
        in_store(project, "chmod", "0755", sets)
    assert "Permission denied" in refused["cause"]
    world.check("the store refuses", refused["cause"])


# What a backup is that was made while the clock was a year ahead.
AHEAD = """
import hashlib, json, pathlib, shutil, sys
sets = pathlib.Path(sys.argv[1])
newest = max(each for each in sets.iterdir() if (each / "manifest.json").exists())
ahead = sets / f"{int(newest.name[:4]) + 1}{newest.name[4:]}"
shutil.copytree(newest, ahead)
found = {**json.loads((ahead / "manifest.json").read_text()), "id": ahead.name}
del found["checksum"]
found["checksum"] = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
(ahead / "manifest.json").write_text(json.dumps(found))
"""


def test_after_a_clock_was_set_back_the_last_backup_is_restored(world: World) -> None:
    project = world.project
    in_store(project, "python3", "-c", AHEAD, f"/mlflow/backups/{project.namespace}/{project.release}/sets")
    ahead = project.do("backup", "list")["outputs"]["backups"][0]["id"]
    last = project.do(*MAKE)["outputs"]["id"]
    assert last > ahead
    assert [each["id"] for each in project.do("backup", "list")["outputs"]["backups"]][:2] == [last, ahead]
    assert project.do(*RESTORE)["outputs"]["backup"]["id"] == last
    project.do("restore", "--discard", "--yes")
    world.check("the clock was a year ahead, and was set back", "ok")


@pytest.fixture
def full(world: World) -> Iterator[str]:
    """A volume of 24 MiB, which is less than the artifacts: one in memory, on the node."""
    project = world.project
    name = f"{project.namespace}-full"
    mount = f"mkdir -p /run/{name} && mount -t tmpfs -o size=24m,mode=0777 tmpfs /run/{name}"
    on_node("sh", "-c", mount)
    try:
        yield f"/run/{name}"
    finally:
        on_node("sh", "-c", f"umount /run/{name} && rmdir /run/{name}")


def test_a_full_volume_is_named_and_loses_nothing(world: World, full: str) -> None:
    project = world.project
    name = full.rpartition("/")[2]
    kept = json.loads(project.kubectl("get", "cronjob", f"{project.release}-backup", "-o", "json"))
    spec = kept["spec"]["jobTemplate"]["spec"]
    pod = spec["template"]["spec"]
    for volume in pod["volumes"]:
        if volume["name"] == "backups":
            volume.pop("persistentVolumeClaim")
            volume["hostPath"] = {"path": full}
    (container,) = [each for each in pod["containers"] if each["name"] == "backup"]
    container["args"] = ["backup", "--artifacts=copy"]
    spec["backoffLimit"] = 0
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}
    project.kubectl("apply", "-f", "-", stdin=json.dumps(job))
    project.kubectl("wait", f"job/{name}", "--for=condition=Failed", f"--timeout={PATIENCE:.0f}s")
    said = project.kubectl("logs", f"job/{name}", "-c", "backup")
    assert "No space left on device" in said
    project.kubectl("delete", "job", name)
    world.check("the volume of backups is full", next(line for line in said.splitlines() if "No space" in line))
