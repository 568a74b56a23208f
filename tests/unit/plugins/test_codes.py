"""Every failure has the code of the page about it, from where it is raised: here are the real ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.health.podstate import of_pod
from ansible_collections.nebari.mlflow.plugins.module_utils.health.problems import creation
from ansible_collections.nebari.mlflow.plugins.module_utils.health.volume_claims import of_claim
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.errors import from_exception, from_response
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.kubeconfig import load
from ansible_collections.nebari.mlflow.plugins.module_utils.release.helm import Helm, HelmError
from ansible_collections.nebari.mlflow.plugins.module_utils.release.lease import held_error
from ansible_collections.nebari.mlflow.plugins.module_utils.release.options import Options
from ansible_collections.nebari.mlflow.plugins.module_utils.release.render import explain

PODS = Path(__file__).parent / "pods"
CLAIM = {"metadata": {"name": "data"}, "spec": {}, "status": {"phase": "Pending"}}
REFUSED = urllib3.exceptions.NewConnectionError(None, "Connection refused")  # type: ignore[arg-type]


def pod(name: str) -> ReleaseError:
    return of_pod(json.loads((PODS / f"{name}.json").read_text()))[0].error()


def claim() -> ReleaseError:
    problem = of_claim(CLAIM, [], [])
    assert problem
    return problem.error()


def of_helm(text: str) -> ReleaseError:
    return explain(HelmError("template", f"Error: {text}"), {})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (pod("pull"), "NML405"),
        (pod("unschedulable"), "NML407"),
        (pod("crash"), "NML401"),
        (claim(), "NML406"),
        (creation("ReplicaSet/demo", "pods is forbidden: exceeded quota: small").error(), "NML407"),
        (creation("ReplicaSet/demo", "violates PodSecurity").error(), "NML407"),
        (of_helm('unable to build: no matches for kind "IngressRoute" in version "traefik.io/v1alpha1"'), "NML411"),
        (of_helm("execution error at (mlflow/templates/validate.yaml:1:4): route.domain is empty"), "NML402"),
        (from_exception(REFUSED, "https://127.0.0.1:6443"), "NML403"),
        (from_response("GET", "/api", 401, b"{}"), "NML403"),
        (held_error("demo", "dev", {"spec": {"holderIdentity": "me"}}, datetime.now(UTC)), "NML404"),
    ],
)
def test_a_failure_has_the_code_of_the_page_about_it(error: ReleaseError, code: str) -> None:
    report: dict[str, Any] = error.report()
    assert report["code"] == code
    assert {"msg", "cause", "fix"} <= report.keys()


def test_unusable_kubeconfig_and_helm_have_their_own_codes(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError) as of_cluster:
        load(str(tmp_path / "none"), "")
    with pytest.raises(ReleaseError) as of_program:
        Helm(Options("demo", "dev", helm="/nonexistent/helm")).check_version()
    with pytest.raises(ReleaseError) as of_option:
        Options("Demo", "dev").check()
    codes = [caught.value.report()["code"] for caught in (of_cluster, of_program, of_option)]
    assert codes == ["NML403", "NML410", "NML402"]
