"""Whose credentials a run uses, shown by what the simulated cloud sees: those that are named, or none."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.errors import CloudError
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.progress import Progress

from tests.simulators.azure.login import CLIENT, TENANT
from tests.simulators.gcp import DEPLOYER

from . import aws_lab as amazon
from . import azure_lab as azure
from . import gcp_lab as google
from . import role
from .aws_lab import AwsLab
from .azure_lab import AzureLab
from .gcp_lab import GcpLab
from .keys import key_of
from .play import ROOT, environment

BUCKET = {"name": google.NAME, "owner": "me", "location": google.REGION}
AWS_BUCKET = {"name": amazon.NAME, "owner": "me"}
KEY = {"alias": amazon.NAME, "owner": "me"}
GROUP = {"name": azure.RESOURCE_GROUP, "owner": "me"}
PRINCIPAL = {"client_id": CLIENT, "secret": "testing", "tenant": TENANT}


def run(name: str, params: dict[str, Any]) -> dict[str, Any]:
    return role.run(name, params, True, Progress(None, ""))


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an `az` on PATH that is logged in, and says when it was asked for a token."""
    folder = tmp_path / "az"
    folder.mkdir()
    token = {"accessToken": "a-token", "expiresOn": "2099-01-01 00:00:00.000000", "expires_on": 4070908800}
    program = folder / "az"
    program.write_text(f"#!/bin/sh\necho \"$@\" >> {folder}/asked\ncat <<'END'\n{json.dumps(token)}\nEND\n")
    program.chmod(0o755)
    login = {"subscriptions": [{"id": azure.SUBSCRIPTION, "isDefault": True, "environmentName": "AzureCloud"}]}
    (folder / "azureProfile.json").write_text(json.dumps(login), encoding="utf-8-sig")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(folder))
    return folder


def test_azs_own_login_is_used_beside_a_principals_variables(
    azure_lab: AzureLab, az: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its default subscription, and without a call to Entra ID for the principal."""
    monkeypatch.setenv("ARM_CLIENT_SECRET", "expired")
    azure_lab.cloud.calls.clear()
    run("azure_resource_group", {**GROUP, "auth_source": "cli"})
    assert "account get-access-token" in (az / "asked").read_text()
    assert [call.action for call in azure_lab.cloud.calls] == ["Microsoft.Resources/subscriptions/resourceGroups/read"]
    monkeypatch.setenv("ANSIBLE_AZURE_AUTH_SOURCE", "cli")
    assert azure_lab.converge(subscription_id=None)["changed"]
    assert not azure_lab.converge(subscription_id=None)["changed"]


def test_azs_default_subscription_is_used_if_none_is_named(
    azure_lab: AzureLab, az: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ARM_CLIENT_ID", "ARM_CLIENT_SECRET", "ARM_TENANT_ID"):
        monkeypatch.delenv(name)
    assert azure_lab.converge(subscription_id=None)["changed"]
    assert (az / "asked").exists()


def test_principal_without_secret_is_not_replaced_by_az_login(
    azure_lab: AzureLab, az: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARM_TENANT_ID")
    with pytest.raises(CloudError, match="No complete Azure credentials") as half:
        azure_lab.converge()
    assert "tenant (ARM_TENANT_ID" in half.value.cause
    monkeypatch.setenv("ARM_TENANT_ID", TENANT)
    monkeypatch.setenv("ARM_CLIENT_SECRET", "mistyped")
    with pytest.raises(CloudError, match="AADSTS7000215"):
        azure_lab.converge()
    assert not (az / "asked").exists()
    assert azure_lab.cloud.writes() == []


def test_azures_options_win_over_the_environment(azure_lab: AzureLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARM_CLIENT_SECRET", "expired")
    monkeypatch.setenv("ARM_ENVIRONMENT", "china")
    given = {**GROUP, **PRINCIPAL, "subscription_id": azure.SUBSCRIPTION, "cloud_environment": "AzureCloud"}
    assert run("azure_resource_group", given)["changes"] == []
    assert {call.host for call in azure_lab.cloud.calls} >= {"management.azure.com"}
    with pytest.raises(CloudError, match="AADSTS7000222"):
        run("azure_resource_group", {**given, "secret": "expired"})


def test_awss_options_win_over_the_environment(aws_lab: AwsLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is moto's own, so the proxy sees nothing of it."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    given = {**KEY, "access_key": "others", "secret_key": "others", "endpoint_url": aws_lab.moto.url}
    assert run("aws_kms_key", {**given, "region": amazon.REGION})["changes"][0]["action"] == "create"
    assert aws_lab.cloud.calls == []
    with pytest.raises(CloudError, match="aws_config is not a configuration of botocore"):
        run("aws_kms_key", {**given, "region": amazon.REGION, "aws_config": {"no_such_parameter": 1}})


def test_aws_profile_assumes_its_role_and_gives_its_region(
    aws_lab: AwsLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = f"arn:aws:iam::{amazon.ACCOUNT}:role/deployer"
    config = tmp_path / "config"
    config.write_text(
        f"[profile base]\naws_access_key_id=k\naws_secret_access_key=s\n"
        f"[profile prod]\nrole_arn={arn}\nsource_profile=base\nregion={amazon.REGION}\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    run("aws_s3_bucket", {**AWS_BUCKET, "profile": "prod"})
    assert [call.action for call in aws_lab.cloud.calls][:2] == ["sts:AssumeRole", "sts:GetCallerIdentity"]
    monkeypatch.setenv("AWS_PROFILE", "prod")
    aws_lab.converge()
    assert "sts:AssumeRole" in [call.action for call in aws_lab.cloud.calls]
    monkeypatch.setenv("AWS_PROFILE", "base")
    with pytest.raises(CloudError, match="No region of AWS is given"):
        run("aws_s3_bucket", AWS_BUCKET)


def test_a_named_profile_of_aws_is_not_replaced_by_keys(aws_lab: AwsLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "prod")
    with pytest.raises(CloudError, match=r"Two AWS credentials are named: the profile 'prod' \(AWS_PROFILE\) and keys"):
        aws_lab.converge()
    assert aws_lab.cloud.calls == []


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_environments_region_is_used_if_none_is_given(
    aws_lab: AwsLab, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws_lab.extra = {"AWS_DEFAULT_REGION": "", variable: "us-west-2"}
    monkeypatch.delitem(aws_lab.variables, "mlflow_aws_region")
    played = aws_lab.play("--check")
    assert played.code == 0, played.output
    assert played.storage["env"] == {"AWS_DEFAULT_REGION": "us-west-2"}


def test_google_key_wins_over_a_token_in_the_environment(gcp_lab: GcpLab, tmp_path: Path) -> None:
    """The environment of the tests names a token, which the options set aside."""
    key, public = key_of(DEPLOYER, google.CLOUD_PROJECT)
    path = tmp_path / "key.json"
    path.write_text(key)
    of_play = {**BUCKET, "project": google.CLOUD_PROJECT}
    for given in ({"service_account_file": str(path)}, {"service_account_contents": key}):
        gcp_lab.google.keys.clear()
        with pytest.raises(CloudError, match="Invalid JWT Signature"):
            run("gcp_bucket", {**of_play, "auth_kind": "serviceaccount", **given})
        gcp_lab.google.keys[DEPLOYER] = public
        assert run("gcp_bucket", {**of_play, **given})["changes"][0]["action"] == "create"
    with pytest.raises(CloudError, match="does not accept the credentials"):
        run("gcp_bucket", {**of_play, "access_token": "expired"})


def test_two_google_credentials_are_refused_without_a_kind(gcp_lab: GcpLab, monkeypatch: pytest.MonkeyPatch) -> None:
    key, _ = key_of(DEPLOYER, google.CLOUD_PROJECT)
    monkeypatch.setenv("GOOGLE_CREDENTIALS", key)
    gcp_lab.converge(check=True)  # the tests' GCP_AUTH_KIND is accesstoken
    monkeypatch.delenv("GCP_AUTH_KIND")
    with pytest.raises(CloudError, match="GCP_ACCESS_TOKEN and GOOGLE_CREDENTIALS are set") as two:
        gcp_lab.converge(check=True)
    assert "BEGIN PRIVATE KEY" not in str(two.value)
    assert gcp_lab.cloud.calls == []


@pytest.mark.parametrize("of_key", [False, True], ids=["environment", "key"])
def test_another_google_universe_is_called_and_passed_to_server(
    gcp_lab: GcpLab, monkeypatch: pytest.MonkeyPatch, of_key: bool
) -> None:
    gcp_lab.google.universe = "s3nsapis.fr"
    if of_key:
        key, gcp_lab.google.keys[DEPLOYER] = key_of(DEPLOYER, google.CLOUD_PROJECT, universe_domain="s3nsapis.fr")
        monkeypatch.setenv("GCP_AUTH_KIND", "serviceaccount")
        monkeypatch.setenv("GOOGLE_CREDENTIALS", key)
    else:
        monkeypatch.setenv("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "s3nsapis.fr")
    done = gcp_lab.converge()
    assert done["storage"]["env"]["GOOGLE_CLOUD_UNIVERSE_DOMAIN"] == "s3nsapis.fr"
    assert {call.host.partition(".")[2] for call in gcp_lab.cloud.calls} == {"s3nsapis.fr"}
    assert not gcp_lab.converge()["changed"]


@pytest.mark.parametrize("region", ["EUROPE-WEST1", "europe-west1"])
def test_a_region_of_google_is_taken_in_capitals_too(gcp_lab: GcpLab, region: str) -> None:
    """As google.cloud's modules write and return it."""
    played = gcp_lab.play("--check", mlflow_gcp_region=region)
    assert played.code == 0, played.output
    gcp_lab.converge(region=region)
    for again in ("EUROPE-WEST1", "europe-west1"):
        assert not gcp_lab.converge(region=again)["changed"]


def test_one_credential_serves_our_tasks_and_google_clouds(gcp_lab: GcpLab, tmp_path: Path) -> None:
    """The options have google.cloud's names, and our group of modules holds google.cloud's."""
    given = {"auth_kind": "accesstoken", "access_token": "a-token"}
    plays = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            "module_defaults": {"group/nebari.mlflow.gcp": given},
            "tasks": [
                {"nebari.mlflow.gcp_bucket": {**BUCKET, "project": google.CLOUD_PROJECT}},
                {
                    "ansible.builtin.include_role": {"name": "nebari.mlflow.gcp"},
                    "vars": {"mlflow_provider": "gcp", **gcp_lab.variables},
                },
                {
                    "google.cloud.gcp_iam_service_account_info": {"project": google.CLOUD_PROJECT},
                    "register": "found",
                },
                {"ansible.builtin.assert": {"that": "found.resources | length == 2"}},
            ],
        }
    ]
    path = tmp_path / "play.yml"
    path.write_text(json.dumps(plays))
    bare = {name: value for name, value in gcp_lab.environment().items() if not name.startswith("GCP_")}
    done = subprocess.run(
        ["ansible-playbook", str(path)], cwd=ROOT, env=environment(bare), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a-token" not in done.stdout + done.stderr
