"""What goes wrong on a real machine: each case ends in a sentence that helps, and the next run works."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from nebari_mlflow.play import workspace
from tests.support import kubectl

from .support import ONE_WORKER, Project, project

pytestmark = pytest.mark.cluster


def programs(release: str) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if release in " ".join(process.info["cmdline"] or []) and "kubectl" not in (process.info["cmdline"] or [""])[0]
    ]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with project(tmp_path_factory.mktemp("broken"), "door-two", "door-two") as made:
        made.configure({"overrides": ONE_WORKER})
        yield made


def wait_for_work(process: subprocess.Popen[str], release: str) -> None:
    """Read until the module says what it does in the cluster."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if f" {release}: " in line and "applying" not in line:
            return
    pytest.fail("".join(seen))


def test_a_killed_deploy_is_finished_by_the_next(broken: Project) -> None:
    process = broken.start("deploy")
    wait_for_work(process, broken.release)
    process.send_signal(signal.SIGKILL)
    process.wait()
    found = json.loads(broken.mlflow("status", "--json").stdout)
    assert found["state"] in {"Blocked", "Waiting", "Absent"}
    assert found["cause"]
    secrets = json.loads(kubectl("-n", broken.namespace, "get", "secret", f"{broken.release}-keys", "-o", "json"))
    process = broken.start("deploy")
    wait_for_work(process, broken.release)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate()
    assert process.returncode == 130, said
    assert "NML501" in said
    assert programs(broken.release) == []
    code, output = broken.quick("deploy")
    assert code == 0, output
    again = json.loads(kubectl("-n", broken.namespace, "get", "secret", f"{broken.release}-keys", "-o", "json"))
    assert again["data"] == secrets["data"]
    assert workspace.sweep() == []


def test_two_projects_at_once_and_no_secret_anywhere(tmp_path: Path) -> None:
    """Both with the log level that makes every library talk, and secrets of all kinds in reach."""
    canaries = {name: f"CANARY{os.urandom(8).hex()}" for name in ("ARM_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY")}
    kubeconfig = tmp_path / "open"
    shutil.copy(os.environ["KUBECONFIG"], kubeconfig)
    kubeconfig.chmod(0o644)
    env = {**canaries, "UPSTREAM_KUBECONFIG": str(kubeconfig), "UPSTREAM_TOKEN": canaries["ARM_CLIENT_SECRET"]}
    with (
        project(tmp_path / "a", "Same_Name", "door-left") as left,
        project(tmp_path / "b", "same-name", "door-right") as right,
    ):
        running = []
        for one in (left, right):
            one.configure({"verify": False, "overrides": ONE_WORKER})
            running.append(one.start("--log-level", "debug", "deploy", **env))
        commands = watch(running)
        printed = [process.stdout.read() if process.stdout else "" for process in running]
        for process, text in zip(running, printed, strict=True):
            process.wait()
            assert process.returncode == 0, text[-3000:]
        assert "NML305" in printed[0]
        for one, text in zip((left, right), printed, strict=True):
            marks = {*canaries.values(), *generated(one), *client_keys(kubeconfig)}
            looked = {"output": text, "command lines": commands, **cluster_texts(one), **files(one)}
            assert not [(where, mark[:8]) for where, held in looked.items() for mark in marks if mark in held]


def watch(running: list[subprocess.Popen[str]]) -> str:
    """Collect every command line while the deploys run; their output is read by the caller, so do not wait long."""
    seen: set[str] = set()
    give_up = time.monotonic() + 25
    while time.monotonic() < give_up and any(process.poll() is None for process in running):
        for process in psutil.process_iter(["cmdline"]):
            seen.add(" ".join(process.info["cmdline"] or []))
        time.sleep(0.1)
    return "\n".join(seen)


def generated(one: Project) -> set[str]:
    """The values of the release's own Secrets, plain and as the API shows them."""
    import base64

    found = set()
    for name in (f"{one.release}-keys", f"{one.release}-postgresql"):
        secret = json.loads(kubectl("-n", one.namespace, "get", "secret", name, "-o", "json"))
        for value in secret["data"].values():
            found |= {value, base64.b64decode(value).decode()}
    return found


def client_keys(kubeconfig: Path) -> set[str]:
    users = yaml.safe_load(kubeconfig.read_text())["users"]
    return {entry["user"]["client-key-data"] for entry in users if "client-key-data" in entry["user"]}


def cluster_texts(one: Project) -> dict[str, str]:
    """What the cluster keeps that is no Secret of ours, and Helm's record, which is one."""
    import base64
    import gzip

    kinds = "configmap,pod,deploy,sts,job,event,svc,networkpolicy,ingressroute,middleware,serviceaccount"
    record = kubectl("-n", one.namespace, "get", "secret", "-l", f"owner=helm,name={one.release}", "-o", "json")
    payloads = [item["data"]["release"] for item in json.loads(record)["items"]]
    decoded = [gzip.decompress(base64.b64decode(base64.b64decode(payload))).decode() for payload in payloads]
    return {"objects": kubectl("-n", one.namespace, "get", kinds, "-o", "json"), "helm": "\n".join(decoded)}


def files(one: Project) -> dict[str, str]:
    return {str(path): path.read_text(errors="replace") for path in one.folder.rglob("*") if path.is_file()}
