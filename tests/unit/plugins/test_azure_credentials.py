"""Which options, variables and profile give Azure's credentials, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.azure import credentials, environment
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.errors import CloudError

PROFILES = """
[default]
subscription_id = of-default
client_id = of-default
secret = 50%of-default
tenant = of-default

[prod]
subscription_id = of-prod
client_id = of-prod
secret = of-prod
tenant = of-prod
cloud_environment = AzureUSGovernment
"""
NEBARI = {"ARM_CLIENT_ID": "of-nebari", "ARM_CLIENT_SECRET": "of-nebari", "ARM_TENANT_ID": "of-nebari"}
SDK = {"AZURE_CLIENT_ID": "of-sdk", "AZURE_CLIENT_SECRET": "of-sdk", "AZURE_TENANT_ID": "of-sdk"}
COLLECTION = {"AZURE_CLIENT_ID": "of-collection", "AZURE_SECRET": "of-collection", "AZURE_TENANT": "of-collection"}
OPTIONS = {"client_id": "of-options", "secret": "of-options", "tenant": "of-options"}
IDS = {"AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t"}
LOGIN = {"subscriptions": [{"id": "other"}, {"id": "of-az", "isDefault": True, "environmentName": "AzureChinaCloud"}]}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".azure").mkdir()
    (tmp_path / ".azure/credentials").write_text(PROFILES)
    return tmp_path


@pytest.mark.parametrize(
    ("options", "environ", "principal", "subscription"),
    [
        ({}, NEBARI, "of-nebari", ""),
        ({}, SDK, "of-sdk", ""),
        ({}, COLLECTION, "of-collection", ""),
        ({}, {**COLLECTION, **NEBARI}, "of-nebari", ""),
        ({}, {}, "of-default", "of-default"),
        ({}, {"AZURE_PROFILE": "prod"}, "of-prod", "of-prod"),
        ({}, {"AZURE_PROFILE": "prod", **NEBARI, **SDK, "ARM_SUBSCRIPTION_ID": "x"}, "of-prod", "of-prod"),
        ({}, {"ARM_SUBSCRIPTION_ID": "x"}, "of-default", "x"),
        ({"profile": "prod"}, NEBARI, "of-prod", "of-prod"),
        ({"profile": "prod", "subscription_id": "x"}, NEBARI, "of-prod", "x"),
        (OPTIONS, {**NEBARI, "AZURE_PROFILE": "prod", "ARM_SUBSCRIPTION_ID": "x"}, "of-options", "x"),
        ({"auth_source": "credential_file"}, NEBARI, "of-default", "of-default"),
        ({"auth_source": "credential_file", "profile": "prod"}, NEBARI, "of-prod", "of-prod"),
        ({"auth_source": "env"}, {**NEBARI, "ARM_SUBSCRIPTION_ID": "x"}, "of-nebari", "x"),
        ({"auth_source": "env", **OPTIONS}, NEBARI, "of-nebari", ""),
    ],
)
def test_the_first_that_is_named_counts(
    home: Path, options: dict[str, str], environ: dict[str, str], principal: str, subscription: str
) -> None:
    found = credentials.chosen(options, environ, home)
    values = {found.values[name].removeprefix("50%") for name in ("client_id", "secret", "tenant")}
    assert (found.kind, values, found.subscription) == ("secret", {principal}, subscription)


@pytest.mark.parametrize(
    ("options", "environ", "kind"),
    [
        ({}, {}, "any"),
        ({"auth_source": "cli"}, NEBARI, "cli"),
        ({"auth_source": "cli", **OPTIONS}, {}, "cli"),
        ({"auth_source": "msi"}, NEBARI, "identity"),
        ({}, {"AZURE_CLIENT_ID": "c"}, "identity"),
        ({}, IDS, "identity"),
        ({}, {**IDS, "AZURE_FEDERATED_TOKEN_FILE": "/token"}, "token"),
        ({}, {"AZURE_FEDERATED_TOKEN_FILE": "/token", "AZURE_TENANT_ID": "t"}, "any"),
        ({}, {**IDS, "AZURE_X509_CERTIFICATE_PATH": "/pem"}, "certificate"),
        ({"client_id": "c", "tenant": "t", "x509_certificate_path": "/pem"}, NEBARI, "certificate"),
    ],
)
def test_a_kind_of_login_is_the_one_that_is_named(
    tmp_path: Path, options: dict[str, str], environ: dict[str, str], kind: str
) -> None:
    assert credentials.chosen(options, environ, tmp_path).kind == kind


@pytest.mark.parametrize(
    ("options", "environ", "said"),
    [
        ({}, {"ARM_CLIENT_SECRET": "CANARY"}, r"secret .* is set, and client_id .* and tenant .* are not"),
        ({}, {"ARM_CLIENT_SECRET": "CANARY", "ARM_CLIENT_ID": "c"}, r"secret .* is set, and tenant .* is not"),
        ({"secret": "CANARY", "tenant": "t"}, NEBARI, "client_id .* is not"),
        ({}, {"AZURE_AD_USER": "a@example.org", "AZURE_PASSWORD": "CANARY"}, "AZURE_AD_USER is set"),
        ({"auth_source": "env"}, {}, "auth_source is 'env', which names none"),
        ({"profile": "prod", **OPTIONS}, {}, "profile is given together"),
        ({"profile": "test"}, {}, "The profile is 'test', which is no section"),
        ({"auth_source": "credential_file"}, NEBARI, "The profile is 'default', which is no section"),
    ],
)
def test_what_cannot_be_used_is_refused_and_not_replaced(
    tmp_path: Path, options: dict[str, str], environ: dict[str, str], said: str
) -> None:
    with pytest.raises(CloudError, match=said) as refused:
        credentials.chosen(options, environ, tmp_path)
    assert refused.value.fix
    assert "CANARY" not in f"{refused.value} {refused.value.fix}"


@pytest.mark.parametrize(
    ("options", "environ", "subscription", "cloud"),
    [
        ({"auth_source": "cli"}, NEBARI, "of-az", "AzureChinaCloud"),
        ({}, {}, "of-az", "AzureChinaCloud"),
        ({"auth_source": "cli"}, {"ARM_SUBSCRIPTION_ID": "x", "ARM_ENVIRONMENT": "public"}, "x", "public"),
        ({"auth_source": "cli", "subscription_id": "y"}, {"ARM_SUBSCRIPTION_ID": "x"}, "y", "AzureChinaCloud"),
        ({}, {"ARM_SUBSCRIPTION_ID": "x"}, "x", ""),
        ({}, NEBARI, "", ""),
    ],
)
def test_the_default_subscription_of_az_is_for_its_own_login(
    tmp_path: Path, options: dict[str, str], environ: dict[str, str], subscription: str, cloud: str
) -> None:
    """az writes its file with a byte order mark."""
    (tmp_path / "azureProfile.json").write_text(json.dumps(LOGIN), encoding="utf-8-sig")
    found = credentials.chosen(options, {**environ, "AZURE_CONFIG_DIR": str(tmp_path)}, tmp_path)
    assert (found.subscription, found.cloud) == (subscription, cloud)
    assert found.kind == "cli" or subscription != "of-az"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"subscriptions": {}}', '{"subscriptions": [1]}', '{"subscriptions": []}']
)
def test_without_a_login_of_az_there_is_no_subscription(tmp_path: Path, text: str) -> None:
    (tmp_path / "azureProfile.json").write_text(text)
    environ = {"AZURE_CONFIG_DIR": str(tmp_path)}
    assert credentials.chosen({}, environ, tmp_path).subscription == ""


@pytest.mark.parametrize(
    ("options", "environ", "cloud"),
    [
        ({}, {"AZURE_PROFILE": "prod", "ARM_ENVIRONMENT": "china"}, environment.US_GOVERNMENT),
        ({"cloud_environment": "AzureChinaCloud"}, {"ARM_ENVIRONMENT": "public"}, environment.CHINA),
        ({}, {"ARM_ENVIRONMENT": "usgovernment"}, environment.US_GOVERNMENT),
        ({}, {}, environment.PUBLIC),
    ],
)
def test_options_and_profiles_choose_the_cloud_too(
    home: Path, options: dict[str, Any], environ: dict[str, str], cloud: environment.Environment
) -> None:
    assert environment.named(credentials.chosen(options, environ, home).cloud) is cloud


def test_an_unknown_profile_is_refused_with_those_that_there_are(home: Path) -> None:
    with pytest.raises(CloudError, match="The profile is 'test'") as unknown:
        credentials.chosen({}, {"AZURE_PROFILE": "test"}, home)
    assert "default, prod" in unknown.value.fix


@pytest.mark.parametrize("text", ["secret of-default\n", "[default]\nsecret\n", "\xff"])
def test_unreadable_file_is_refused_without_showing_its_content(tmp_path: Path, text: str) -> None:
    (tmp_path / ".azure").mkdir()
    (tmp_path / ".azure/credentials").write_text(text, encoding="latin-1")
    assert credentials.chosen({}, NEBARI, tmp_path).values["secret"] == "of-nebari"
    with pytest.raises(CloudError, match="cannot be read") as refused:
        credentials.chosen({}, {"AZURE_PROFILE": "default"}, tmp_path)
    assert "of-default" not in f"{refused.value} {refused.value.fix}"
