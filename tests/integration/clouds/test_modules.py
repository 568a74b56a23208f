"""Each module by itself, as a playbook of yours uses it, and what the first look of a role says of the others."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.errors import CloudError
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.progress import Progress

from . import aws_lab, azure_lab, gcp_lab, role
from .lab import NAMESPACE, Lab
from .play import ROOT, environment

ME = "me-0a1b2c3d"
OF_GCP = {"cloud_project": gcp_lab.CLOUD_PROJECT}
OF_AWS = {"region": aws_lab.REGION}
OF_AZURE = {"subscription_id": azure_lab.SUBSCRIPTION}
IN_GROUP = {**OF_AZURE, "resource_group": azure_lab.RESOURCE_GROUP}
ROLE_ARN = f"arn:aws:iam::{aws_lab.ACCOUNT}:role/{aws_lab.NAME}"
PROVIDER = f"arn:aws:iam::{aws_lab.ACCOUNT}:oidc-provider/{aws_lab.ISSUER.removeprefix('https://')}"
CREDENTIAL = {"identity": azure_lab.IDENTITY_NAME, "namespace": NAMESPACE, "oidc_issuer_url": azure_lab.ISSUER}
# What each module gets, with all that it needs missing in the account.
ALONE: dict[str, tuple[str, dict[str, Any]]] = {
    "bucket": ("gcp_bucket", {**OF_GCP, "name": gcp_lab.NAME, "owner": ME, "location": gcp_lab.REGION}),
    "account": ("gcp_service_account", {**OF_GCP, "account_id": gcp_lab.EMAIL.partition("@")[0], "owner": ME}),
    "member": ("gcp_iam_member", {**OF_GCP, "bucket": gcp_lab.NAME, "role": "r", "member": "user:a@example.org"}),
    "speaker": ("gcp_iam_member", {**OF_GCP, "service_account": gcp_lab.EMAIL, "role": "r", "member": "user:a@b.c"}),
    "key": ("aws_kms_key", {**OF_AWS, "alias": aws_lab.NAME, "owner": ME}),
    "s3": ("aws_s3_bucket", {**OF_AWS, "name": aws_lab.NAME, "owner": ME}),
    "role": (
        "aws_iam_role",
        {
            **OF_AWS, "name": aws_lab.NAME, "owner": ME, "namespace": NAMESPACE, "bucket": aws_lab.NAME,
            "oidc_provider_arn": PROVIDER,
        },
    ),
    "association": (
        "aws_pod_identity",
        {**OF_AWS, "cluster_name": aws_lab.CLUSTER, "namespace": NAMESPACE, "role_arn": ROLE_ARN, "owner": ME},
    ),
    "group": ("azure_resource_group", {**OF_AZURE, "name": "new", "owner": ME, "location": "westeurope"}),
    "storage": ("azure_storage_account", {**IN_GROUP, "name": azure_lab.NAME, "owner": ME, "location": "westeurope"}),
    "container": ("azure_storage_container", {**IN_GROUP, "account": azure_lab.NAME}),
    "identity": (
        "azure_managed_identity",
        {**IN_GROUP, "name": azure_lab.IDENTITY_NAME, "owner": ME, "location": "westeurope"},
    ),
    "credential": ("azure_federated_credential", {**IN_GROUP, **CREDENTIAL}),
    "assignment": (
        "azure_role_assignment",
        {
            **OF_AZURE, "scope": azure_lab.CONTAINER, "identity_id": azure_lab.IDENTITY,
            "principal_id": "(known after the identity is created)",
        },
    ),
}  # fmt: skip
OWNED = [name for name, (_, params) in ALONE.items() if "owner" in params and name not in ("association", "group")]


@pytest.fixture
def alone(request: pytest.FixtureRequest) -> tuple[Lab, str, dict[str, Any]]:
    name, params = ALONE[request.param]
    lab: Lab = request.getfixturevalue(f"{name.partition('_')[0]}_lab")
    return lab, name, params


@pytest.mark.parametrize("alone", ALONE, indirect=True)
def test_a_module_predicts_below_what_does_not_exist_yet(alone: tuple[Lab, str, dict[str, Any]]) -> None:
    lab, name, params = alone
    done = role.run(name, params, True, Progress(None, ""))
    assert {change["action"] for change in done["changes"]} <= {"create", "update"}
    assert done["changes"][0]["action"] == "create"
    assert lab.cloud.writes() == []


@pytest.mark.parametrize("alone", ALONE, indirect=True)
def test_a_module_removes_nothing_that_does_not_exist(alone: tuple[Lab, str, dict[str, Any]]) -> None:
    lab, name, params = alone
    done = role.run(name, {**params, "state": "absent"}, False, Progress(None, ""))
    assert (done["changes"], done["kept"], lab.cloud.writes()) == ([], [], [])


@pytest.mark.parametrize("alone", OWNED, indirect=True)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_module_refuses_what_another_owner_has(alone: tuple[Lab, str, dict[str, Any]], state: str) -> None:
    lab, name, params = alone
    lab.converge()
    for check in (True, False):
        lab.cloud.calls.clear()
        with pytest.raises(CloudError, match=f"belongs to .*{ME}"):
            role.run(name, {**params, "state": state}, check, Progress(None, ""))
        assert lab.cloud.writes() == []


@pytest.mark.parametrize("alone", ["bucket", "s3", "storage", "container"], indirect=True)
def test_a_module_keeps_the_data_unless_told_otherwise(alone: tuple[Lab, str, dict[str, Any]]) -> None:
    lab, name, params = alone
    owner = lab.converge()["found"]["owner"]
    lab.store()
    lab.cloud.calls.clear()
    given = {**params, "state": "absent", **({"owner": owner} if "owner" in params else {})}
    done = role.run(name, given, False, Progress(None, ""))
    assert (done["changes"], len(done["kept"]), lab.cloud.writes()) == ([], 1, [])
    assert lab.has_data()


def test_the_first_look_says_what_the_tasks_then_do(lab: Lab) -> None:
    for spoil in [None, *lab_drifts(lab)]:
        if spoil:
            lab.drifts()[spoil]()
        planned = lab.converge(check=True)
        done = lab.converge()
        assert planned["found"]["changes"] == done["found"]["changes"] == done["changes"] != [], spoil


def lab_drifts(lab: Lab) -> list[str]:
    """Return some of the settings that are spoilt; which ones there are is known after a deploy."""
    lab.converge()
    names = [*lab.drifts()][::4]
    lab.reset()
    return names


def test_a_deploy_with_nothing_to_do_runs_one_module(lab: Lab) -> None:
    assert lab.converge()["modules"] > 3
    again = lab.converge()
    assert (again["modules"], again["found"]["due"]) == (1, [])


def test_a_refused_first_look_runs_no_other_module(lab: Lab) -> None:
    """A right that only a later task needs is missed before the first write."""
    lab.converge()
    lab.converge()
    last = lab.cloud.calls[-1].action
    next(iter(lab.drifts().values()))()
    lab.deny(last)
    with pytest.raises(CloudError):
        lab.converge()
    assert lab.cloud.writes() == []


PLAY = [
    {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "module_defaults": {
            "group/nebari.mlflow.gcp": OF_GCP,
            "nebari.mlflow.gcp_bucket": {"location": gcp_lab.REGION, "owner": ME},
        },
        "tasks": [
            {"nebari.mlflow.gcp_bucket": {"name": "of-its-own"}},
            {"nebari.mlflow.gcp_service_account": {"account_id": "of-its-own", "owner": ME}},
        ],
    }
]


def test_a_play_of_its_own_uses_modules_with_defaults(gcp_lab: Lab, tmp_path: Path) -> None:
    """The defaults of one module are not those of another, although both show their progress in the same way."""
    path = tmp_path / "play.yml"
    path.write_text(json.dumps(PLAY))
    variables = {**environment(gcp_lab.environment()), "ANSIBLE_STDOUT_CALLBACK": "default"}
    done = subprocess.run(
        ["ansible-playbook", str(path)], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changed=2" in done.stdout
    for line in ("Google Cloud: create bucket of-its-own", "Google Cloud: create service account of-its-own@"):
        assert line in done.stdout
