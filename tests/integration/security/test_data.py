"""What another chart made, and data whose Secrets are lost: nothing is harmed, and a deploy says what it found."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.release import Release, fresh
from tests.support import ROOT, Played, kubectl, objects, play

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.cluster
PEER = ROOT / "tests/integration/charts/peer"
KINDS = "deploy,sts,svc,secret,cm,pvc,networkpolicy,sa,job,lease"
OPENS = "claim/data-one-db-0"


@pytest.fixture
def release(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Release]:
    yield from fresh(tmp_path, request.node.name.removeprefix("test_"))


@pytest.fixture
def namespace(release: Release) -> str:
    kubectl("create", "namespace", release.namespace)
    return release.namespace


def helm(*arguments: str) -> None:
    done = subprocess.run(["helm", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def played(playbook: str, namespace: str, *arguments: str, **variables: Any) -> Played:
    """Run a playbook for the project `old`, whose release is old-mlflow."""
    given = {"mlflow_provider": "local", "mlflow_project_name": "old", "mlflow_namespace": namespace}
    return play(playbook, *arguments, **{**given, "mlflow_kubeconfig": os.environ["KUBECONFIG"], **variables})


def attempts(namespace: str) -> list[Played]:
    """A plan, a deploy, a removal, and one with the data."""
    return [
        played("mlflow", namespace, "--check"),
        played("mlflow", namespace),
        played("destroy", namespace),
        played("destroy", namespace, mlflow_delete_data="old"),
    ]


def test_a_release_of_another_chart_is_neither_upgraded_nor_removed(namespace: str) -> None:
    helm("install", "old-mlflow", str(PEER), "--namespace", namespace, "--wait")
    before = objects(namespace, KINDS)
    assert "Secret/old-mlflow-postgresql" in before
    assert "PersistentVolumeClaim/data-old-mlflow-postgresql-0" in before
    for attempt in attempts(namespace):
        assert "was installed from another chart, mlflow 5.1.17 (revision 1, status deployed)" in attempt.failure
        assert f"helm uninstall old-mlflow --namespace {namespace}" in attempt.failure
    before_storage = played("mlflow", namespace, mlflow_provider="aws", mlflow_aws_region="eu-west-1")
    assert "was installed from another chart" in before_storage.failure
    assert objects(namespace, KINDS) == before
    helm("uninstall", "old-mlflow", "--namespace", namespace, "--keep-history")
    assert "status uninstalled" in played("mlflow", namespace).failure


def test_the_volume_of_another_chart_is_neither_used_nor_deleted(namespace: str) -> None:
    helm("install", "old-mlflow", str(PEER), "--namespace", namespace, "--wait")
    helm("uninstall", "old-mlflow", "--namespace", namespace, "--wait")
    before = objects(namespace, KINDS)
    check, deploy, destroy, delete = attempts(namespace)
    for attempt in (check, deploy):
        assert "PersistentVolumeClaim/data-old-mlflow-postgresql-0" in attempt.failure
        assert "belongs to another chart: it has the label app.kubernetes.io/name=postgresql" in attempt.failure
    assert destroy.returncode == delete.returncode == 0
    assert destroy.mlflow["kept"] == []
    assert objects(namespace, KINDS) == before


def test_another_chart_whose_records_are_gone_is_left_alone(namespace: str) -> None:
    """As after a restore without Secrets, which Helm's records are."""
    helm("install", "old-mlflow", str(PEER), "--namespace", namespace, "--wait")
    kubectl("-n", namespace, "delete", "secret", "--all")
    kubectl("-n", namespace, "delete", "pvc", "--all", "--wait=false")  # as if the volume were no obstacle
    kubectl("-n", namespace, "patch", "pvc", "data-old-mlflow-postgresql-0", "-p", '{"metadata":{"finalizers":null}}')
    before = objects(namespace, "deploy,sts,svc")
    check, deploy, _, _ = attempts(namespace)
    for attempt in (check, deploy):
        assert "already exists and belongs to another chart (" in attempt.failure
    assert objects(namespace, "deploy,sts,svc") == before


def test_a_volume_without_marks_is_not_written_to(release: Release, namespace: str) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data-one-db-0", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(claim))
    values: dict[str, Any] = {"database": {"size": "1Gi"}, "deployment": False}
    refused = release.fail(**values)
    assert "nothing tells whose data it holds" in refused.message
    assert not release.revisions()
    release.kubectl("label", "pvc", "data-one-db-0", "app=one-db", "app.kubernetes.io/instance=one")
    release.deploy(**values)


def test_a_secret_of_another_release_is_not_used(release: Release, namespace: str) -> None:
    helm("install", "two-mlflow", str(PEER), "--namespace", namespace)
    secrets = [{"name": "two-mlflow-postgresql", "keys": {"password": "alphanumeric"}}]
    refused = release.run(secrets=secrets, values={"deployment": False})
    assert "belongs to the Helm release 'two-mlflow' of chart postgresql-16.7.27" in refused.message
    assert not release.exists("configmap/one")


def secrets_of(opens: str) -> list[dict[str, Any]]:
    return [{"name": "one-keys", "keys": {"password": "alphanumeric", "key": "fernet"}, "opens": opens}]


SECRETS = secrets_of(OPENS)
USES: dict[str, Any] = {"env": {"PASSWORD": {"secretKeyRef": {"name": "one-keys", "key": "password"}}}}
VALUES: dict[str, Any] = {**USES, "database": {"size": "1Gi"}}


def pods(release: Release) -> dict[str, str]:
    """The uid of each pod that is to stay, by its workload."""
    items = [item for item in release.get("pod")["items"] if not item["metadata"].get("deletionTimestamp")]
    return {item["metadata"]["labels"]["app"]: item["metadata"]["uid"] for item in items}


def lose(release: Release, key: str = "") -> str:
    """Delete the Secret, or empty one of its keys; return its backup."""
    backup = release.kubectl("get", "secret", "one-keys", "-o", "yaml")
    if key:
        release.kubectl("patch", "secret", "one-keys", "-p", json.dumps({"data": {key: ""}}))
    else:
        release.kubectl("delete", "secret", "one-keys")
    return backup


def without_leases(release: Release) -> dict[str, str]:
    return {name: version for name, version in release.versions().items() if not name.startswith("Lease/")}


def test_a_lost_secret_stops_a_deploy_while_its_data_exist(release: Release) -> None:
    release.deploy(secrets=SECRETS, **VALUES)
    for key in ("", "password"):
        backup = lose(release, key)
        before = without_leases(release)
        for check in (True, False):
            told = release.run(check=check, secrets=SECRETS, values=VALUES).message
            assert "PersistentVolumeClaim/data-one-db-0, which it opens, exists" in told
            assert "apply -f BACKUP.yaml" in told
            assert "new_secrets: [one-keys]" in told
        assert f"one-keys in namespace {release.namespace} {'lacks password' if key else 'is missing'}" in told
        assert release.run(secrets=SECRETS, state="examined").message == told
        assert without_leases(release) == before
        release.kubectl("replace" if key else "create", "-f", "-", stdin=stripped(backup))
        # What was put back may hold other values, which only the time of the change tells: its user restarts once.
        assert set(release.deploy(secrets=SECRETS, **VALUES).acts) <= {"update Deployment/one-web"}
        assert not release.deploy(secrets=SECRETS, **VALUES).changed


def stripped(backup: str) -> str:
    """A backup that can be put back: no resourceVersion, which another object would have."""
    return "\n".join(line for line in backup.splitlines() if "resourceVersion:" not in line and "uid:" not in line)


def test_what_a_release_keeps_elsewhere_is_data_too(release: Release) -> None:
    """As with an external database, whose rows only the migration can look at."""
    secrets = secrets_of("release")
    release.deploy(secrets=secrets, **USES)
    lose(release)
    assert "but the Helm release one, which it opens, exists" in release.run(secrets=secrets, values=USES).message


def test_requested_new_secret_is_generated_and_reaches_the_pods(release: Release) -> None:
    release.deploy(secrets=SECRETS, **VALUES)
    before, password = pods(release), release.get("secret/one-keys")["data"]["password"]
    lose(release)
    asked: dict[str, Any] = {"secrets": SECRETS, "values": VALUES, "new_secrets": ["one-keys"]}
    planned = release.run(check=True, **asked)
    done = release.run(**asked)
    assert planned.acts == done.acts == ["create Secret/one-keys", "update Deployment/one-web"]
    assert release.get("secret/one-keys")["data"]["password"] != password
    after = pods(release)
    assert after["one-web"] != before["one-web"]
    assert after["one-db"] == before["one-db"]  # it does not use the Secret
    again = release.run(**asked)
    assert not again.changed
    assert "new_secrets names one-keys, which is complete" in str(again.result["warnings"])
    assert not release.deploy(secrets=SECRETS, **VALUES).changed
    release.deploy(secrets=SECRETS, message="an upgrade", **VALUES)
    assert pods(release) == after


def test_run_killed_before_restart_is_finished_by_the_next(release: Release) -> None:
    release.deploy(secrets=SECRETS, **VALUES)
    before = pods(release)
    lose(release)
    values = {**VALUES, "message": "changed"}
    victim = release.start(secrets=SECRETS, values=values, new_secrets=["one-keys"], helm=slow_helm(release.folder))
    until(lambda: release.exists("secret/one-keys"))
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    assert pods(release) == before
    done = release.deploy(secrets=SECRETS, **values)
    assert "update Deployment/one-web" in done.acts
    assert pods(release)["one-web"] != before["one-web"]
    assert not release.deploy(secrets=SECRETS, **values).changed


def slow_helm(folder: Path) -> str:
    """A helm that begins an upgrade ten seconds late."""
    program = folder / "slow-helm"
    program.write_text('#!/bin/sh\n[ "$1" != upgrade ] || sleep 10\nexec helm "$@"\n')
    program.chmod(0o755)
    return str(program)


def until(check: Any, limit: float = 60) -> None:
    started = time.monotonic()
    while not check():
        assert time.monotonic() - started < limit
        time.sleep(0.1)


def test_a_first_install_writes_its_secrets_before_any_volume(release: Release) -> None:
    """So a kill in between never leaves data without its Secret, which would stop the next run."""
    victim = release.start(secrets=SECRETS, values=VALUES, helm=slow_helm(release.folder))
    until(lambda: kubectl("get", "ns", release.namespace, "--ignore-not-found") and release.exists("secret/one-keys"))
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    assert not release.exists("pvc")
    password = release.get("secret/one-keys")["data"]
    release.deploy(secrets=SECRETS, **VALUES)
    assert release.get("secret/one-keys")["data"] == password


def test_a_new_namespace_warns_about_pods_that_are_not_restricted(release: Release) -> None:
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("warn", "audit")}
    release.params["namespace_labels"] = labels
    release.deploy(deployment=False)
    found = json.loads(kubectl("get", "namespace", release.namespace, "-o", "json"))["metadata"]["labels"]
    assert labels.items() <= found.items()
    kubectl("label", "namespace", release.namespace, "pod-security.kubernetes.io/warn-")
    assert not release.deploy(deployment=False).changed  # it is the admin's from now on


LOGIN = 'PGPASSWORD="$(cat)" psql -h 127.0.0.1 -U mlflow -d mlflow -qAtc "SELECT 1"'


def login(namespace: str, password: str) -> str:
    """Log in to the database as MLflow does, with a password."""
    pod = ["exec", "-i", "old-mlflow-postgresql-0", "-c", "postgresql", "--"]
    return kubectl("-n", namespace, *pod, "sh", "-c", LOGIN, stdin=password).strip()


def password(namespace: str) -> str:
    data = json.loads(kubectl("-n", namespace, "get", "secret", "old-mlflow-postgresql", "-o", "json"))["data"]
    return base64.b64decode(data["password"]).decode()


def told(deploy: Played) -> set[str]:
    return {f"{each['action']} {each['kind']}/{each['name']}" for each in deploy.mlflow["changes"]}


@pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it")
def test_lost_passwords_are_replaced_in_the_database_too(namespace: str) -> None:
    assert played("mlflow", namespace).returncode == 0
    old = password(namespace)
    assert login(namespace, old) == "1"
    claim = kubectl("-n", namespace, "get", "pvc", "data-old-mlflow-postgresql-0", "-o", "jsonpath={.metadata.uid}")
    kubectl("-n", namespace, "delete", "secret", "old-mlflow-postgresql", "old-mlflow-keys")
    for attempt in (played("mlflow", namespace, "--check"), played("mlflow", namespace)):
        assert "Secret/old-mlflow-keys" in attempt.failure
        assert "mlflow_new_secrets: [keys]" in attempt.failure
    assert "Secret/old-mlflow-postgresql" in played("mlflow", namespace, mlflow_new_secrets=["keys"]).failure
    asked = {"mlflow_new_secrets": ["postgresql", "keys"]}
    planned = played("mlflow", namespace, "--check", **asked)
    done = played("mlflow", namespace, **asked)
    assert done.returncode == 0, done.failure
    assert done.mlflow["verified"]
    assert told(done) == told(planned)
    restarted = {"update StatefulSet/old-mlflow-postgresql", "update Deployment/old-mlflow-tracking"}
    assert told(done) >= {"create Secret/old-mlflow-postgresql", "create Secret/old-mlflow-keys", *restarted}
    assert login(namespace, password(namespace)) == "1"
    with pytest.raises(AssertionError, match="password authentication failed"):
        login(namespace, old)
    found = kubectl("-n", namespace, "get", "pvc", "data-old-mlflow-postgresql-0", "-o", "jsonpath={.metadata.uid}")
    assert found == claim
    assert played("mlflow", namespace, **asked).changed == 0
