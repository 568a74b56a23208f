"""Why a removal does not use `kubernetes.core.helm`: a test fails on the day when one of its traps is gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.kubernetes.core.plugins.module_utils.helm_args_common import HELM_AUTH_ARG_SPEC
from ansible_collections.nebari.mlflow.plugins.module_utils.release.record import decode, encode

from tests.integration.release import Release, fresh
from tests.support import ROOT, environment

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it"),
]
ANSIBLE = str(Path(sys.executable).with_name("ansible"))


@pytest.fixture
def release(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Release]:
    yield from fresh(tmp_path, request.node.name.removeprefix("test_"))


def task(module: str, **arguments: Any) -> tuple[int, str]:
    """Run one module of kubernetes.core; return the exit code and what it printed."""
    line = [ANSIBLE, "localhost", "-m", f"kubernetes.core.{module}", "-a", json.dumps(arguments)]
    line += ["-e", f"ansible_python_interpreter={sys.executable}"]
    done = subprocess.run(line, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_helm_does_nothing_for_a_removal_that_was_killed(release: Release) -> None:
    release.deploy(deployment=False)
    record = decode(release.get("secret/sh.helm.release.v1.one.v1")["data"]["release"])
    record["info"]["status"] = "uninstalling"
    body = {"metadata": {"labels": {"status": "uninstalling"}}, "data": {"release": encode(record)}}
    release.kubectl("patch", "secret", "sh.helm.release.v1.one.v1", "--type=merge", "-p", json.dumps(body))
    code, output = task("helm", name="one", namespace=release.namespace, state="absent")
    assert code == 0, output
    assert "changed: false" in output
    assert release.exists("configmap/one")
    assert release.run(state="absent").changed
    assert not release.exists("configmap/one")
    assert not release.revisions()


def test_helm_takes_no_login_but_a_token() -> None:
    missing = AUTH_ARG_SPEC.keys() - HELM_AUTH_ARG_SPEC.keys()
    assert missing >= {"username", "password", "client_cert", "client_key", "impersonate_user", "impersonate_groups"}


def test_k8s_ignores_the_user_that_a_kubeconfig_impersonates(release: Release, tmp_path: Path) -> None:
    document = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    document["users"][0]["user"]["as"] = "nobody"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    path.chmod(0o600)
    release.deploy(deployment=False)
    given = {"kind": "ConfigMap", "name": "one", "namespace": release.namespace, "kubeconfig": str(path)}
    code, output = task("k8s_info", **given)
    assert code == 0, output
    assert "message: hello" in output
    code, output = task("k8s_info", **given, impersonate_user="nobody")
    assert "cannot" in output, "the option that release_removal returns is heeded"
    refused = release.run(state="absent", kubeconfig=str(path)).message
    assert "nobody" in refused
