"""What cannot work is refused in one sentence, before anything is changed."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.integration.release import IMAGE, Release, fresh
from tests.support import kubectl

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.cluster


@pytest.fixture
def release(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Release]:
    yield from fresh(tmp_path, request.node.name.removeprefix("test_"))


def kubeconfig() -> dict[str, Any]:
    """The kubeconfig of the test cluster."""
    found: dict[str, Any] = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    return found


def test_kubeconfigs(release: Release, tmp_path: Path) -> None:
    def message(change: dict[str, Any] | str | None, **params: Any) -> str:
        path = tmp_path / "kubeconfig"
        if isinstance(change, dict):
            config = kubeconfig()
            config["clusters"][0]["cluster"] |= change.get("cluster", {})
            config["users"][0]["user"] = change.get("user", config["users"][0]["user"])
            path.write_text(yaml.safe_dump(config))
        elif change is not None:
            path.write_text(change)
        return release.run(kubeconfig=str(path), **params).message

    assert "does not exist" in message(None)
    assert "is not YAML (line 2)" in message("a: b\n c: d")
    assert "no list `contexts`" in message("just: text")
    assert "'elsewhere' is not in the kubeconfig" in message({}, context="elsewhere")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert "refuses connections" in message({"cluster": {"server": f"https://127.0.0.1:{closed.getsockname()[1]}"}})
    assert "cannot be resolved" in message({"cluster": {"server": "https://cluster.invalid:6443"}})
    untrusted = {"certificate-authority-data": "", "tls-server-name": "localhost"}
    assert "does not verify" in message({"cluster": untrusted})
    assert "(401 Unauthorized)" in message({"user": {"token": "wrong"}})
    (tmp_path / "kubeconfig").unlink()
    assert "is a directory" in release.run(kubeconfig=str(tmp_path)).message
    login = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "false", "interactiveMode": "Never"}}
    assert "login program failed" in message({"user": login})


def test_rights_that_are_missing_are_all_named(release: Release, tmp_path: Path) -> None:
    def grant(kind: str) -> None:
        account = f"--serviceaccount={release.namespace}:limited"
        release.kubectl("create", "rolebinding", kind, f"--clusterrole={kind}", account)

    kubectl("create", "namespace", release.namespace)
    release.kubectl("create", "serviceaccount", "limited")
    grant("view")
    config = kubeconfig()
    config["users"][0]["user"] = {"token": release.kubectl("create", "token", "limited").strip()}
    path = tmp_path / "limited"
    path.write_text(yaml.safe_dump(config))
    message = release.run(kubeconfig=str(path)).message
    for right in ("create deployments.apps", "list secrets", "create leases.coordination.k8s.io", "patch configmaps"):
        assert f"{right} in namespace {release.namespace}" in message
    assert "get configmaps" not in message
    assert not release.exists("lease")
    grant("edit")
    assert not release.run(kubeconfig=str(path)).result.get("failed")


def test_helm_programs(release: Release, tmp_path: Path) -> None:
    assert "'/nonexistent/helm' is not found" in release.run(helm="/nonexistent/helm").message
    newer = tmp_path / "helm"
    newer.write_text("#!/bin/sh\necho v4.0.1\n")
    newer.chmod(0o755)
    assert "is version v4.0.1. Helm 3.15 or newer, but not 4, is supported" in release.run(helm=str(newer)).message
    newer.write_text("#!/bin/sh\necho v3.14.4\n")
    assert "is version v3.14.4" in release.run(helm=str(newer)).message
    newer.chmod(0o644)
    assert "cannot be run (Permission denied)" in release.run(helm=str(newer)).message


def test_values_and_names(release: Release) -> None:
    message = release.fail(mesage="x", replicas="two", job={"imge": "a"}).message
    assert "'mesage' is not a key of the chart, did you mean 'message'?" in message
    assert "'job.imge' is not a key of the chart, did you mean 'image'?" in message
    assert "replicas: got string, want integer" in message
    assert "Widget of example.net/v1" in release.run(values={"custom": {"apiVersion": "example.net/v1"}}).message
    assert "Helm allows 53" in release.run(name="x" * 54).message
    assert "'Big' is not a Kubernetes name" in release.run(name="Big").message
    assert not kubectl("get", "namespace", release.namespace, "--ignore-not-found")


def test_a_namespace_that_is_being_deleted(release: Release) -> None:
    kubectl("create", "namespace", release.namespace)
    release.kubectl("create", "configmap", "held")
    finalizer = ["patch", "configmap", "held", "--type=merge", "-p"]
    release.kubectl(*finalizer, '{"metadata":{"finalizers":["example.org/hold"]}}')
    kubectl("delete", "namespace", release.namespace, "--wait=false")
    try:
        kubectl(
            "wait", f"namespace/{release.namespace}", "--for=condition=NamespaceFinalizersRemaining", "--timeout=30s"
        )
        message = release.fail().message
        assert "is being deleted" in message
        assert "example.org/hold in 1 resource" in message
    finally:
        release.kubectl(*finalizer, '{"metadata":{"finalizers":null}}')


def test_what_belongs_to_others_is_left_alone(release: Release) -> None:
    kubectl("create", "namespace", release.namespace)
    release.kubectl("create", "configmap", "one", "--from-literal=message=theirs")
    message = release.fail(deployment=False).message
    assert "ConfigMap/one" in message
    assert "was not made by Helm" in message
    assert release.get("configmap/one")["data"] == {"message": "theirs"}
    assert not release.revisions()
    assert not release.run(state="absent").changed


def test_an_object_that_the_api_refuses(release: Release) -> None:
    kubectl("create", "namespace", release.namespace)
    message = release.fail(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}).message
    assert "requests: Invalid value" in message
    assert not release.revisions()


def test_volumes_that_hold_data(release: Release) -> None:
    def values(**database: str) -> dict[str, Any]:
        return {"deployment": False, "database": {"size": "2Gi", "storageClass": "rel-first", **database}}

    for name in ("rel-first", "rel-second"):
        body = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": "rancher.io/local-path",
            "allowVolumeExpansion": False,  # an earlier run may have left another value
            "volumeBindingMode": "WaitForFirstConsumer",
        }
        kubectl("apply", "-f", "-", stdin=json.dumps(body))
    release.deploy(**values())
    before = release.versions()
    assert "from 2Gi down to 1Gi" in release.fail(**values(size="1Gi")).message
    assert (
        "its storage class from 'rel-first' to 'rel-second'"
        in release.fail(**values(storageClass="rel-second")).message
    )
    assert "cannot grow from 2Gi to 3Gi" in release.fail(**values(size="3Gi")).message
    leases = {name: version for name, version in release.versions().items() if name.startswith("Lease/")}
    assert {**before, **leases} == release.versions()
    kubectl("patch", "storageclass", "rel-first", "-p", '{"allowVolumeExpansion":true}')
    pod = release.get("pod/one-db-0")["metadata"]["uid"]
    done = release.deploy(**values(size="3Gi"))
    assert "update PersistentVolumeClaim/data-one-db-0" in done.acts
    assert release.get("pvc/data-one-db-0")["spec"]["resources"]["requests"]["storage"] == "3Gi"
    assert release.get("pod/one-db-0")["metadata"]["uid"] == pod  # the database went on running
    assert not release.deploy(**values(size="3Gi")).changed


def test_a_volume_that_is_not_bound_is_replaced(release: Release) -> None:
    unbound = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "rel-unbound"},
        "provisioner": "example.org/none",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(unbound))
    volume = {"size": "1Gi", "storageClass": "rel-unbound"}
    release.deploy(deployment=False, volume=volume)
    first = release.get("pvc/one-files")["metadata"]["uid"]
    planned = release.deploy(check=True, deployment=False, volume={"size": "1Gi", "storageClass": "standard"})
    assert release.get("pvc/one-files")["metadata"]["uid"] == first
    done = release.deploy(deployment=False, volume={"size": "1Gi", "storageClass": "standard"})
    assert "update PersistentVolumeClaim/one-files" in done.acts
    assert done.acts == planned.acts
    assert release.get("pvc/one-files")["spec"]["storageClassName"] == "standard"


def test_missing_storage_class_is_refused_by_plan_too(release: Release) -> None:
    values = {"deployment": False, "database": {"size": "1Gi", "storageClass": "rel-nope"}}
    for params in ({"state": "planned"}, {"check": True}, {}):
        message = release.run(values=values, **params).message
        assert "there is no StorageClass 'rel-nope' (the cluster has: " in message
    assert not kubectl("get", "namespace", release.namespace, "--ignore-not-found")


def test_a_running_job_is_not_replaced(release: Release) -> None:
    job = {"image": IMAGE, "command": ["sleep", "60"]}
    release.run(values={"deployment": False, "job": job}, timeout=4)
    uid = release.get("job/one-migrate")["metadata"]["uid"]
    message = release.fail(deployment=False, job={**job, "command": ["sleep", "1"]}).message
    assert "Job/one-migrate is still running" in message
    assert release.get("job/one-migrate")["metadata"]["uid"] == uid
