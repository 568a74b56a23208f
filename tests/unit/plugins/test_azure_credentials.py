"""Which variables and which profile give Azure's credentials."""

from __future__ import annotations

from pathlib import Path

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
ENVIRON = {"ARM_CLIENT_ID": "of-nebari", "ARM_CLIENT_SECRET": "of-nebari", "ARM_TENANT_ID": "of-nebari"}
SDK = {"AZURE_CLIENT_ID": "of-sdk", "AZURE_CLIENT_SECRET": "of-sdk", "AZURE_TENANT_ID": "of-sdk"}
COLLECTION = {"AZURE_CLIENT_ID": "of-collection", "AZURE_SECRET": "of-collection", "AZURE_TENANT": "of-collection"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".azure").mkdir()
    (tmp_path / ".azure/credentials").write_text(PROFILES)
    return tmp_path


@pytest.mark.parametrize(
    ("environ", "principal", "subscription"),
    [
        (ENVIRON, "of-nebari", ""),
        (SDK, "of-sdk", ""),
        (COLLECTION, "of-collection", ""),
        ({**COLLECTION, **ENVIRON}, "of-nebari", ""),
        ({}, "of-default", "of-default"),
        ({"AZURE_PROFILE": "prod"}, "of-prod", "of-prod"),
        ({"AZURE_PROFILE": "prod", **ENVIRON, **SDK, "ARM_SUBSCRIPTION_ID": "x"}, "of-prod", "of-prod"),
        ({"ARM_SUBSCRIPTION_ID": "x"}, "of-default", "x"),
    ],
)
def test_the_first_that_is_given_counts(home: Path, environ: dict[str, str], principal: str, subscription: str) -> None:
    found = credentials.with_profile(environ, home)
    values = {credentials.first(found, each) for each in (credentials.TENANT, credentials.CLIENT, credentials.SECRET)}
    assert {value.removeprefix("50%") for value in values} == {principal}
    assert credentials.first(found, credentials.SUBSCRIPTION) == subscription


def test_a_profile_chooses_the_cloud_too(home: Path) -> None:
    environ = {"AZURE_PROFILE": "prod", "ARM_ENVIRONMENT": "china"}
    assert environment.chosen(credentials.with_profile(environ, home)) is environment.US_GOVERNMENT


def test_an_unknown_profile_is_refused_with_those_that_there_are(home: Path) -> None:
    with pytest.raises(CloudError, match="AZURE_PROFILE is 'test'") as unknown:
        credentials.with_profile({"AZURE_PROFILE": "test"}, home)
    assert "default, prod" in unknown.value.fix


@pytest.mark.parametrize("text", ["secret of-default\n", "[default]\nsecret\n", "\xff"])
def test_a_file_that_cannot_be_read_is_refused_without_a_word_of_it(tmp_path: Path, text: str) -> None:
    (tmp_path / ".azure").mkdir()
    (tmp_path / ".azure/credentials").write_text(text, encoding="latin-1")
    assert credentials.with_profile(ENVIRON, tmp_path) == ENVIRON
    with pytest.raises(CloudError, match="cannot be read") as refused:
        credentials.with_profile({"AZURE_PROFILE": "default"}, tmp_path)
    assert "of-default" not in f"{refused.value} {refused.value.fix}"


def test_without_a_file_the_environment_counts(tmp_path: Path) -> None:
    assert credentials.with_profile(SDK, tmp_path) == SDK
