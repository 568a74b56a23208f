"""Whatever ends a deploy, the next one finishes it; and two at once take turns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ansible_collections.nebari.mlflow.plugins.module_utils.release.record import decode, encode
from ansible_collections.nebari.mlflow.plugins.modules import release_removal

from tests.integration.faults import FAULTS, Proxy
from tests.integration.release import CHART, IMAGE, PYTHONPATH, Release, fresh
from tests.support import ROOT, kubectl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.cluster
SECRETS = [{"name": "one-keys", "keys": {"password": "alphanumeric"}}]
CAMPAIGN = bool(os.environ.get("NEBARI_MLFLOW_CAMPAIGN"))
LEASE = "lease.coordination.k8s.io/one"


def hook(seconds: int) -> dict[str, Any]:
    """Values with which Helm waits for a hook before it touches anything else."""
    return {"hook": {"image": IMAGE, "command": ["sleep", str(seconds)]}, "deployment": False}


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for a condition that must come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def status(release: Release) -> str:
    """Helm's status of the newest revision, "" when there is none yet."""
    found = kubectl("get", "namespace", release.namespace, "--ignore-not-found") and release.revisions()
    return found[max(found)] if found else ""


def helm(release: Release, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["helm", *arguments, "-n", release.namespace], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def helms_of(release: Release) -> list[int]:
    """The pids of helm programs that work on the release."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if release.namespace.encode() in line and b"upgrade" in line:
            found.append(int(folder.name))
    return found


@pytest.fixture
def release(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Release]:
    yield from fresh(tmp_path, request.node.name.removeprefix("test_"))


@pytest.mark.parametrize("left", ["pending-install", "pending-upgrade", "pending-rollback", "uninstalling"])
def test_a_killed_helm_is_taken_up(release: Release, left: str) -> None:
    slow = release.folder / "slow.json"
    slow.write_text(json.dumps(hook(60)))
    kubectl("create", "namespace", release.namespace)
    secret = ["secret", "generic", "one-keys", "--from-literal=password=kept"]
    release.kubectl("create", *secret)
    if left != "pending-install":
        quick = hook(2) if left in {"pending-rollback", "uninstalling"} else {"deployment": False}
        release.deploy(secrets=SECRETS, volume={"size": "1Gi"}, **quick)
        claim = release.get("pvc/one-files")["metadata"]["uid"]
    commands = {
        "pending-install": ["install", "one", str(CHART), "-f", str(slow)],
        "pending-upgrade": ["upgrade", "one", str(CHART), "-f", str(slow)],
        "pending-rollback": ["rollback", "one", "1"],
        "uninstalling": ["uninstall", "one"],
    }
    process = helm(release, *commands[left])
    until(lambda: status(release) == left)
    process.kill()
    process.wait()
    assert status(release) == left
    planned = release.deploy(check=True, secrets=SECRETS, volume={"size": "1Gi"}, deployment=False)
    done = release.deploy(secrets=SECRETS, volume={"size": "1Gi"}, deployment=False)
    assert "recover Release/one" in done.acts
    assert done.acts == planned.acts
    assert done.result["status"] == "deployed"
    assert release.get("secret/one-keys")["data"] == {"password": "a2VwdA=="}
    if left != "pending-install":
        assert release.get("pvc/one-files")["metadata"]["uid"] == claim
    assert not release.deploy(secrets=SECRETS, volume={"size": "1Gi"}, deployment=False).changed


def test_killed_module_ends_its_helm_and_frees_the_release(release: Release) -> None:
    process = release.start(values=hook(60), secrets=SECRETS)
    until(lambda: status(release) == "pending-install")
    password = release.get("secret/one-keys")["data"]
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    started = time.monotonic()
    done = release.deploy(secrets=SECRETS, deployment=False)
    assert not helms_of(release)
    assert any("taking over from a killed run" in line for line in done.progress)
    assert time.monotonic() - started < 12  # less than the Lease would take to expire
    assert release.get("secret/one-keys")["data"] == password
    assert list(release.revisions().values()).count("deployed") == 1


def test_sigterm_ends_helm_and_gives_the_lease_back(release: Release) -> None:
    process = release.start(values=hook(60))
    until(lambda: status(release) == "pending-install")
    process.terminate()
    run = release.finish(process)
    assert "Stopped by SIGTERM" in run.message
    assert not helms_of(release)
    assert "holderIdentity" not in release.get(LEASE)["spec"]
    release.deploy(deployment=False)


def test_one_of_several_deploys_wins_and_others_name_it(release: Release) -> None:
    kubectl("create", "namespace", release.namespace)
    processes = [release.start(values=hook(8)) for _ in range(4)]
    runs = [release.finish(process) for process in processes]
    won = [process.pid for process, run in zip(processes, runs, strict=True) if not run.result.get("failed")]
    assert len(won) == 1
    for run in runs:
        if run.result.get("failed"):
            assert "Another deploy of one" in run.message
            assert f"pid {won[0]} started" in run.message
            assert "last heard of" in run.message
    assert release.revisions() == {1: "deployed"}


def test_a_lease_of_another_host_is_respected_until_it_expires(release: Release) -> None:
    def lease(age: int) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - age))
        spec = {
            "holderIdentity": "someone@elsewhere pid 7",
            "leaseDurationSeconds": 15,
            "acquireTime": stamp,
            "renewTime": stamp,
        }
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "one"}, "spec": spec}
        return json.dumps(body)

    kubectl("create", "namespace", release.namespace)
    release.kubectl("apply", "-f", "-", stdin=lease(2))
    message = release.fail(deployment=False).message
    assert "someone@elsewhere pid 7" in message
    assert not release.revisions()
    release.kubectl("replace", "-f", "-", stdin=lease(20))
    release.deploy(deployment=False)
    assert release.run(state="absent").changed
    assert not release.exists(LEASE)


def test_killed_removal_is_finished_by_the_next_run(release: Release) -> None:
    """The tasks delete the objects, Helm's records, a claim and a Secret."""
    values: dict[str, Any] = {"volume": {"size": "1Gi"}, "deployment": False}
    everything: dict[str, Any] = {"state": "absent", "secrets": SECRETS, "delete_data": True}
    for tasks in range(1, 5) if CAMPAIGN else (1, 3):
        release.deploy(secrets=SECRETS, **values, extra="a")
        release.deploy(secrets=SECRETS, **values)
        planned = release.run(check=True, **everything)
        process = release.start(**everything, kill_after=tasks)
        process.communicate(timeout=200)
        assert process.returncode == -signal.SIGKILL
        assert release.exists(LEASE)
        left = release.run(check=True, **everything)
        done = release.run(**everything)
        assert done.acts == left.acts
        assert set(done.acts) < {*planned.acts, "delete Lease/one"}
        assert not release.exists("configmap/one,pvc,secret,lease")
        assert not release.run(**everything).changed


def test_waiting_removal_keeps_its_turn_and_names_the_holder(release: Release) -> None:
    release.deploy(database={"size": "1Gi"}, deployment=False)
    everything: dict[str, Any] = {"state": "absent", "delete_data": True}
    hold = '{"metadata":{"finalizers":["example.org/hold"]}}'
    for what in ("pod/one-db-0", "pvc/data-one-db-0"):
        release.kubectl("patch", what, "--type=merge", "-p", hold)
        process = release.start(**everything, timeout=12)
        until(lambda: "waiting for" in release.progress.read_text())
        refused = release.run(values={"deployment": False}).message
        assert "Another deploy of one" in refused
        assert f"pid {process.pid} started" in refused
        message = release.finish(process).message
        assert what.partition("/")[2] in message
        assert "still there after 12 s" in message
        assert bool(release.revisions()) == what.startswith("pod"), "the record goes when the pods have ended"
        release.kubectl("patch", what, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    assert "example.org/hold" in message
    assert not release.run(**everything).result.get("failed")
    assert not release.exists("pod,pvc,secret,lease")


def test_killed_play_of_a_removal_frees_the_release(release: Release, tmp_path: Path) -> None:
    """The play is the example of `ansible-doc nebari.mlflow.release_removal`."""
    release.deploy()
    pod = release.get("pod")["items"][0]["metadata"]["name"]
    hold = ["patch", f"pod/{pod}", "--type=merge", "-p"]
    release.kubectl(*hold, '{"metadata":{"finalizers":["example.org/hold"]}}')
    tasks = yaml.safe_load(release_removal.EXAMPLES)
    for task in tasks:
        given = task.get("nebari.mlflow.release_removal", {})
        given |= {"name": "one", "namespace": release.namespace, "chart": str(CHART)} if given else {}
    path = tmp_path / "play.yml"
    path.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    output = tmp_path / "output"
    with output.open("w") as stream:
        program = Path(sys.executable).with_name("ansible-playbook")
        given = {"ansible_python_interpreter": sys.executable}
        killed = subprocess.Popen([program, path, "-e", json.dumps(given)], cwd=ROOT, stdout=stream, stderr=stream)
    until(lambda: f"waiting for 1 pods to end: {pod}" in output.read_text(), 120)
    assert f"pid {killed.pid} started" in release.run(values={"deployment": False}).message
    killed.kill()
    killed.wait()
    release.kubectl(*hold, '{"metadata":{"finalizers":null}}')
    done = release.run(state="absent")
    assert "delete Release/one" in done.acts
    assert not release.exists("deployment,pod,secret,lease")


def test_objects_of_an_interrupted_revision_go(release: Release) -> None:
    for extra in ("a", "b"):
        release.deploy(deployment=False, extra=extra)
    for revision, state in ((1, "deployed"), (2, "failed")):  # as a Helm leaves them that is killed at the very end
        name = f"sh.helm.release.v1.one.v{revision}"
        record = decode(release.get(f"secret/{name}")["data"]["release"])
        record["info"]["status"] = state
        body = {"metadata": {"labels": {"status": state}}, "data": {"release": encode(record)}}
        release.kubectl("patch", "secret", name, "--type=merge", "-p", json.dumps(body))
    done = release.deploy(deployment=False, extra="c")
    assert "delete ConfigMap/one-b" in done.acts
    assert not release.exists("configmap/one-a")
    assert not release.exists("configmap/one-b")


def test_a_killed_play_is_followed_by_one_that_converges(release: Release, tmp_path: Path) -> None:
    def play(**values: Any) -> subprocess.Popen[str]:
        whose = {"namespace": release.namespace, "secrets": SECRETS}
        tasks = [
            {"name": "Generate", "nebari.mlflow.generated_secret": {"release": "one", **whose}},
            {
                "name": "Deploy",
                "nebari.mlflow.helm_release": {"name": "one", "chart": str(CHART), "values": values, **whose},
            },
        ]
        path = tmp_path / "play.yml"
        path.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("ansible-playbook")), str(path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": PYTHONPATH},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    killed = play(**hook(60))
    until(lambda: status(release) == "pending-install")
    password = release.get("secret/one-keys")["data"]
    killed.kill()
    killed.wait()
    again = play(deployment=False)
    stdout, _ = again.communicate(timeout=60)
    assert again.returncode == 0, stdout
    assert "  one: applying the chart" in stdout  # progress reaches the terminal
    assert release.get("secret/one-keys")["data"] == password
    assert status(release) == "deployed"
    until(lambda: not helms_of(release), 5)


def test_deploy_survives_an_api_failing_every_ninth_call(release: Release, tmp_path: Path) -> None:
    def fault(call: int) -> str:
        return FAULTS[call // 9 % len(FAULTS)] if call % 9 == 0 else ""

    values: dict[str, Any] = {"test": {"image": IMAGE, "command": ["true"]}, "extra": "a"}
    with Proxy(fault) as proxy:
        release.params["kubeconfig"] = proxy.kubeconfig(tmp_path / "proxy")
        run = release.run(values=values, secrets=SECRETS)
        if run.result.get("failed"):  # Helm gave up after four attempts
            run = release.run(values=values, secrets=SECRETS)
        assert run.result.get("verified"), run.result
        assert proxy.failed > 8
    del release.params["kubeconfig"]
    assert not release.deploy(secrets=SECRETS, **values).changed
    assert list(release.revisions().values()).count("deployed") == 1


def test_a_first_install_whose_last_write_fails_is_not_done(release: Release, tmp_path: Path) -> None:
    """Helm 3 ends well all the same, and leaves its record pending."""
    writes: list[str] = []

    def fault(call: int) -> str:
        line = proxy.calls[call - 1]
        if line.startswith("PUT") and "/sh.helm.release" in line:
            writes.append(line)
            return "reset" if len(writes) == 1 else ""
        return ""

    with Proxy(fault) as proxy:
        release.params["kubeconfig"] = proxy.kubeconfig(tmp_path / "proxy")
        release.deploy(deployment=False)
        assert proxy.failed == 1
    assert list(release.revisions().values()) == ["superseded", "deployed"]
