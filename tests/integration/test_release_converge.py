"""What nebari.mlflow.release says it would do, does, and does not do a second time."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.integration.release import IMAGE, Release, fresh
from tests.support import kubectl

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.cluster
SECRETS = [{"name": "one-keys", "keys": {"password": "alphanumeric", "key": "fernet"}}]
DATABASE: dict[str, Any] = {"database": {"size": "1Gi"}, "volume": {"size": "1Gi"}}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.org"},
    "spec": {
        "group": "example.org",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                    }
                },
            }
        ],
    },
}


@pytest.fixture
def release(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Release]:
    yield from fresh(tmp_path, request.node.name.removeprefix("test_"))


def test_check_is_true_and_the_second_run_writes_nothing(release: Release) -> None:
    passing: dict[str, Any] = {"test": {"image": IMAGE, "command": ["sh", "-c", "true"]}}
    planned = release.deploy(check=True, secrets=SECRETS, **passing)
    assert not kubectl("get", "namespace", release.namespace, "--ignore-not-found")
    done = release.deploy(secrets=SECRETS, **passing)
    assert (
        done.acts
        == planned.acts
        == [
            f"create Namespace/{release.namespace}",
            "create Secret/one-keys",
            "create ConfigMap/one",
            "create Deployment/one-web",
            "create Release/one",
            "verify Release/one",
        ]
    )
    assert done.result["verified"]
    assert done.result["revision"] == 1
    before = release.versions()
    again = release.deploy(secrets=SECRETS, **passing)
    assert not again.changed
    assert not release.deploy(check=True, secrets=SECRETS, **passing).changed
    assert release.versions() == before


def test_secrets_are_made_once_and_never_shown(release: Release) -> None:
    kubectl("create", "namespace", release.namespace)
    release.kubectl("create", "secret", "generic", "one-keys", "--from-literal=password=mine")
    run = release.run(secrets=SECRETS, values={"deployment": False}, _ansible_diff=True)
    data = release.get("secret/one-keys")["data"]
    assert data["password"] == "bWluZQ=="  # base64 of `mine`
    assert set(data) == {"password", "key"}
    assert "update Secret/one-keys" in run.acts
    assert data["key"] not in json.dumps(run.result)
    removed = release.run(state="absent", secrets=SECRETS, delete_data=True)
    assert "one-keys was not made by this module" in str(removed.result["warnings"])
    assert release.exists("secret/one-keys")


def test_drift_is_found_and_repaired(release: Release) -> None:
    kubectl("apply", "-f", "-", stdin=json.dumps(CRD))
    kubectl("wait", "--for=condition=Established", "crd/widgets.example.org", "--timeout=20s")
    values: dict[str, Any] = {"env": {"A": "1", "B": "2"}, "custom": {"size": 3}}
    release.deploy(**values)
    release.kubectl("delete", "configmap", "one")
    release.kubectl("set", "env", "deployment/one-web", "A=9", "C=3")
    release.kubectl("patch", "widget/one", "--type=merge", "-p", '{"spec":{"size":4}}')
    planned = release.deploy(check=True, **values)
    done = release.deploy(**values)
    assert (
        done.acts
        == planned.acts
        == [
            "create ConfigMap/one",
            "update Deployment/one-web",
            "update Widget/one",
            "update Release/one",
        ]
    )
    env = {
        e["name"]: e["value"]
        for e in release.get("deployment/one-web")["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    assert env == {"A": "1", "B": "2", "C": "3"}  # C is not ours
    assert release.get("widget/one")["spec"]["size"] == 3
    assert not release.deploy(**values).changed


def test_what_leaves_the_chart_leaves_the_cluster(release: Release) -> None:
    job: dict[str, Any] = {"image": IMAGE, "command": ["true"]}
    release.deploy(env={"A": "1", "B": "2"}, job={**job, "name": "first"})
    planned = release.deploy(check=True, env={"A": "1"}, job={**job, "name": "second"})
    done = release.deploy(env={"A": "1"}, job={**job, "name": "second"})
    assert (
        set(done.acts)
        == set(planned.acts)
        == {
            "update Deployment/one-web",
            "create Job/one-second",
            "delete Job/one-first",
            "update Release/one",
        }
    )
    assert len(release.get("deployment/one-web")["spec"]["template"]["spec"]["containers"][0]["env"]) == 1
    assert not release.exists("job/one-first")


def test_data_outlives_the_release_until_it_is_asked_to_go(release: Release) -> None:
    release.deploy(secrets=SECRETS, **DATABASE)
    kept = {name: release.get(name)["metadata"]["uid"] for name in ("pvc/data-one-db-0", "pvc/one-files")}
    password = release.get("secret/one-keys")["data"]
    planned = release.run(state="absent", check=True, secrets=SECRETS)
    removed = release.run(state="absent", secrets=SECRETS)
    assert removed.acts == planned.acts
    assert {item["name"] for item in removed.result["kept"]} == {"data-one-db-0", "one-files", "one-keys"}
    assert release.revisions() == {}
    assert not release.exists("pod,deployment,statefulset,lease")
    assert not release.run(state="absent", secrets=SECRETS).changed
    release.deploy(secrets=SECRETS, **DATABASE)
    assert {name: release.get(name)["metadata"]["uid"] for name in kept} == kept
    assert release.get("secret/one-keys")["data"] == password
    release.run(state="absent", secrets=SECRETS)
    gone = release.run(state="absent", secrets=SECRETS, delete_data=True)
    assert "delete PersistentVolumeClaim/data-one-db-0" in gone.acts
    assert not release.exists("pvc,secret,lease")
    assert not release.run(state="absent", secrets=SECRETS, delete_data=True).changed


def test_a_release_whose_test_fails_is_not_done(release: Release) -> None:
    test = {"image": IMAGE, "command": ["sh", "-c", "echo cannot log a run; exit 1"]}
    failing: dict[str, Any] = {"test": test, "deployment": False}
    assert "cannot log a run" in release.fail(**failing).message
    assert "cannot log a run" in release.fail(**failing).message  # nothing differs, but it is still not proven
    assert release.deploy(test={"image": IMAGE, "command": ["true"]}, deployment=False).result["verified"]


def test_smoke_test_shows_its_wait_and_may_outlast_the_timeout(release: Release) -> None:
    """As when the right to a cloud's storage comes late. With a timeout of a second Helm would have a minute."""
    waits = 'for n in 1 2 3; do echo "waiting for the store ($n s of 9 s): 403 not yet"; sleep 4; done'
    test = {"image": IMAGE, "command": ["sh", "-c", waits]}
    run = release.run(values={"test": test, "deployment": False}, timeout=1, verify_timeout=120)
    assert run.result["verified"], run.result
    told = [line for line in run.progress if "running the smoke test: waiting for the store: 403 not yet (" in line]
    assert told
    (limit,) = {re.sub(r".*\(\d+ s of (\d+) s\)$", r"\1", line) for line in told}
    assert 120 <= int(limit) < 150  # its own 120 s, counted on from what the deploy took before
    assert len(told) < 4  # said again every ten seconds, not at every look


def test_a_first_install_is_tested_while_it_comes_up(release: Release) -> None:
    slow = {"image": IMAGE, "command": ["sleep", "5"]}
    run = release.deploy(job=slow, test={"image": IMAGE, "command": ["true"]}, deployment=False)
    assert run.result["verified"]
    assert any("waiting for Job/one-migrate" in line for line in run.progress)
    tested = release.get("pod/one-test")["metadata"]["creationTimestamp"]
    assert tested < release.get("job/one-migrate")["status"]["completionTime"]


def test_smoke_test_that_gave_up_too_early_is_repeated(release: Release) -> None:
    slow = {"image": IMAGE, "command": ["sleep", "10"]}
    late = ["sh", "-c", f"[ $(date +%s) -gt {int(time.time()) + 8} ]"]
    assert release.deploy(job=slow, test={"image": IMAGE, "command": late}, deployment=False).result["verified"]


def test_a_test_pod_that_never_starts_ends_the_wait(release: Release) -> None:
    run = release.fail(test={"image": "registry.invalid/none:1", "command": ["true"]}, deployment=False)
    assert "registry.invalid/none:1" in run.message
    assert run.seconds < 60


def test_a_login_program(release: Release, tmp_path: Path) -> None:
    """A kubeconfig that only the kubernetes library can read leads to the same release."""
    kubectl("create", "namespace", release.namespace)
    release.kubectl("create", "serviceaccount", "deployer")
    release.kubectl(
        "create", "rolebinding", "edit", "--clusterrole=admin", f"--serviceaccount={release.namespace}:deployer"
    )
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": release.kubectl("create", "token", "deployer").strip()},
    }
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    login = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "sh",
        "args": ["-c", f"echo '{json.dumps(credential)}'"],
        "interactiveMode": "Never",
    }
    config["users"][0]["user"] = {"exec": login}
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    release.params["kubeconfig"] = str(path)
    assert release.deploy(deployment=False).changed
    del release.params["kubeconfig"]
    assert not release.deploy(deployment=False).changed
