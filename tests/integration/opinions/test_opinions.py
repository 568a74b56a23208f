"""What a cluster decides about pods is said in its own words within a minute, with the setting that helps."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.opinions.platform import platform
from tests.integration.release import IMAGE, Release, fresh
from tests.support import kubectl, play

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.cluster
SOON = 60  # seconds


@pytest.fixture
def release(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Release]:
    yield from fresh(tmp_path, request.node.name.removeprefix("test_"))


def apply(release: Release, kind: str, version: str = "v1", **content: Any) -> None:
    item = {"apiVersion": version, "kind": kind, "metadata": {"name": "narrow"}, **content}
    release.kubectl("apply", "-f", "-", stdin=json.dumps(item))


def shown(progress: list[str]) -> list[int]:
    """Return the waiting times that a person saw, in their order."""
    return [int(found[1]) for line in progress if (found := re.search(r"\((\d+) s of \d+ s\)$", line))]


def test_quota_without_room_for_the_test_is_reported(release: Release) -> None:
    kubectl("create", "namespace", release.namespace)
    release.kubectl("create", "quota", "narrow", "--hard=pods=1")
    test = {"image": IMAGE, "command": ["true"]}
    run = release.run(values={"test": test}, timeout=60)
    told = r"exceeded quota: narrow, requested: pods=1, used: pods=1, limited: pods=1"
    assert re.search(told, run.message), run.message
    assert "Raise that ResourceQuota" in run.result["fix"]
    assert "NOTES" not in run.message
    assert run.result["elapsed"] < SOON
    release.kubectl("delete", "quota", "narrow")
    assert release.deploy(test=test).result["verified"]


def test_a_limit_range_that_refuses_a_pod_is_told(release: Release) -> None:
    kubectl("create", "namespace", release.namespace)
    apply(release, "LimitRange", spec={"limits": [{"type": "Container", "max": {"cpu": "1"}}]})
    run = release.fail(resources={"limits": {"cpu": "2"}})
    assert "maximum cpu usage per Container is 1, but limit is 2" in run.message
    assert "within the LimitRange" in run.result["fix"]
    assert run.result["elapsed"] < SOON


def test_admission_rule_that_refuses_a_pod_is_quoted(release: Release) -> None:
    kubectl("create", "namespace", release.namespace)
    name = f"opinions-{os.getpid()}"
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    rule = {
        "matchConstraints": {"resourceRules": [pods]},
        "validations": [{"expression": "has(object.metadata.labels.team)", "message": "every pod needs a team"}],
    }
    here = {"matchLabels": {"kubernetes.io/metadata.name": release.namespace}}
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": here}}
    for kind, spec in (("ValidatingAdmissionPolicy", rule), ("ValidatingAdmissionPolicyBinding", binding)):
        item = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        kubectl("apply", "-f", "-", stdin=json.dumps(item))
    try:
        kubectl(
            "wait",
            f"validatingadmissionpolicy/{name}",
            "--for=jsonpath={.status.observedGeneration}=1",
            "--timeout=90s",
        )
        run = release.fail()
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            kubectl("delete", kind, name, "--ignore-not-found")
    assert "denied request: every pod needs a team" in run.message
    assert "`podLabels`" in run.result["fix"]
    assert run.result["elapsed"] < SOON


def test_sidecar_keeping_a_job_alive_is_named_with_its_setting(release: Release) -> None:
    kubectl("create", "namespace", release.namespace)
    with platform("istio", release.namespace):
        job = {"image": IMAGE, "command": ["true"]}
        run = release.fail(deployment=False, job=job)
    assert "istio-proxy, which is not of the chart, still runs" in run.message
    assert 'sidecar.istio.io/inject: "false"' in run.result["fix"]
    assert run.result["elapsed"] < SOON
    release.kubectl("delete", "job", "one-migrate", "--wait=true")
    test = {"image": IMAGE, "command": ["true"]}
    release.deploy(deployment=False, job=job)
    with platform("istio", release.namespace):
        run = release.fail(deployment=False, job=job, test=test)
    assert "Pod/one-test never ends: container test ended with exit code 0, but istio-proxy" in run.message


def test_failing_probe_is_shown_and_time_never_jumps_back(release: Release) -> None:
    probe = {"httpGet": {"path": "/", "port": 5000}, "periodSeconds": 2}
    values = {
        "image": IMAGE,
        "command": ["sleep", "600"],
        "probe": probe,
        "test": {"image": IMAGE, "command": ["true"]},
    }
    release.deploy()
    run = release.run(values=values, timeout=50)
    assert "runs but is not ready: Readiness probe failed: " in run.message
    assert "connection refused" in run.message
    assert any("Readiness probe failed" in line for line in run.progress), "it is shown before the time is up"
    times = shown(run.progress)
    assert times == sorted(times), run.progress
    assert len(times) > 2


def test_second_project_in_a_namespace_gets_a_true_message(release: Release) -> None:
    kubectl("create", "namespace", release.namespace)
    release.kubectl("create", "serviceaccount", "nebari-mlflow")
    owner = {"meta.helm.sh/release-name": "first-mlflow", "meta.helm.sh/release-namespace": release.namespace}
    release.kubectl("annotate", "serviceaccount", "nebari-mlflow", *(f"{key}={value}" for key, value in owner.items()))
    release.kubectl("label", "serviceaccount", "nebari-mlflow", "app.kubernetes.io/managed-by=Helm")
    given = {
        "mlflow_provider": "local",
        "mlflow_project_name": "second",
        "mlflow_namespace": release.namespace,
        "mlflow_kubeconfig": os.environ["KUBECONFIG"],
    }
    refused = play("mlflow", "--check", **given).failure
    assert "ServiceAccount/nebari-mlflow" in refused
    assert "belongs to the Helm release 'first-mlflow'" in refused
    assert "Deploy into another namespace: that release needs it." in refused
    assert "Remove or rename" not in refused
    account = {"serviceAccount": {"name": "second"}}
    assert play("mlflow", "--check", **given, mlflow_overrides=account).returncode == 0
