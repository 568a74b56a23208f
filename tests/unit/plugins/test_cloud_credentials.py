"""Which options and variables give the credentials for AWS and Google Cloud, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.aws import credentials as aws
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.errors import CloudError
from ansible_collections.nebari.mlflow.plugins.module_utils.gcp import credentials as gcp

KEYS = {"AWS_ACCESS_KEY_ID": "of-env", "AWS_SECRET_ACCESS_KEY": "CANARY"}
KEY = json.dumps({"client_email": "one", "private_key": "CANARY"})
OTHER = json.dumps({"client_email": "two"})


@pytest.mark.parametrize(
    ("options", "environ", "profile", "key"),
    [
        ({}, {}, None, None),
        ({}, KEYS, None, "of-env"),
        ({}, {"AWS_ACCESS_KEY": "old", "AWS_SECRET_KEY": "s"}, None, "old"),
        ({}, {"AWS_PROFILE": "prod"}, "prod", None),
        ({}, {"AWS_DEFAULT_PROFILE": "prod"}, "prod", None),
        ({"profile": "option"}, {**KEYS, "AWS_PROFILE": "prod"}, "option", None),
        ({"access_key": "of-option", "secret_key": "s"}, {**KEYS, "AWS_PROFILE": "prod"}, None, "of-option"),
    ],
)
def test_on_aws_options_win_and_the_environment_is_left_alone(
    options: dict[str, str], environ: dict[str, str], profile: str | None, key: str | None
) -> None:
    found = aws.chosen(options, environ)
    assert (found.profile, found.keys.get("access_key")) == (profile, key)


@pytest.mark.parametrize(
    ("options", "environ", "said"),
    [
        (
            {},
            {**KEYS, "AWS_PROFILE": "prod"},
            r"'prod' \(AWS_PROFILE\) and keys \(AWS_ACCESS_KEY_ID, AWS_SECRET",
        ),
        ({"profile": "a", "access_key": "b", "secret_key": "CANARY"}, {}, r"profile 'a' .* \(access_key, secret_key\)"),
        ({}, {"AWS_SECRET_ACCESS_KEY": "CANARY"}, "AWS_SECRET_ACCESS_KEY is set, and AWS_ACCESS_KEY_ID is not"),
        ({}, {"AWS_SESSION_TOKEN": "CANARY"}, "AWS_SESSION_TOKEN is set, and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"),
        ({"access_key": "b"}, KEYS, "access_key is set, and AWS_SECRET_ACCESS_KEY is not"),
    ],
)
def test_on_aws_two_credentials_and_half_of_one_are_refused(
    options: dict[str, str], environ: dict[str, str], said: str
) -> None:
    with pytest.raises(CloudError, match=said) as refused:
        aws.chosen(options, environ)
    assert "CANARY" not in f"{refused.value} {refused.value.fix}"


@pytest.mark.parametrize(
    ("options", "environ", "region"),
    [
        ({"region": "a"}, {"AWS_REGION": "b"}, "a"),
        ({}, {"AWS_REGION": "b", "AWS_DEFAULT_REGION": "c"}, "b"),
        ({}, {"AWS_REGION": "", "AWS_DEFAULT_REGION": "c"}, "c"),
        ({}, {}, ""),
    ],
)
def test_on_aws_the_environment_names_the_region(options: dict[str, str], environ: dict[str, str], region: str) -> None:
    assert aws.region(options, environ) == region


@pytest.mark.parametrize(
    ("options", "environ", "kind", "value"),
    [
        ({}, {}, "application", None),
        ({}, {"GCP_ACCESS_TOKEN": "t"}, "accesstoken", "t"),
        ({}, {"GOOGLE_CREDENTIALS": KEY}, "serviceaccount", json.loads(KEY)),
        ({}, {"GOOGLE_CREDENTIALS": KEY, "GCP_SERVICE_ACCOUNT_CONTENTS": KEY}, "serviceaccount", json.loads(KEY)),
        ({}, {"GCP_SERVICE_ACCOUNT_EMAIL": "a@b"}, "machineaccount", "a@b"),
        ({}, {"GCP_AUTH_KIND": "machineaccount"}, "machineaccount", None),
        ({}, {"GCP_AUTH_KIND": "application", "GCP_ACCESS_TOKEN": "t"}, "application", None),
        ({}, {"GCP_AUTH_KIND": "serviceaccount", "GCP_ACCESS_TOKEN": "t", "GOOGLE_CREDENTIALS": KEY}, "serviceaccount",
         json.loads(KEY)),
        ({"auth_kind": "accesstoken"}, {"GCP_ACCESS_TOKEN": "t", "GCP_AUTH_KIND": "application"}, "accesstoken", "t"),
        ({"access_token": "o"}, {"GCP_AUTH_KIND": "serviceaccount", "GOOGLE_CREDENTIALS": KEY}, "accesstoken", "o"),
        ({"service_account_contents": OTHER}, {"GOOGLE_CREDENTIALS": KEY}, "serviceaccount", json.loads(OTHER)),
        ({"service_account_contents": json.loads(OTHER)}, {}, "serviceaccount", json.loads(OTHER)),
    ],
)  # fmt: skip
def test_google_cloud_uses_the_named_kind_of_credential(
    options: dict[str, Any], environ: dict[str, str], kind: str, value: Any
) -> None:
    found = gcp.chosen(options, environ)
    assert (found.kind, found.value) == (kind, value)


@pytest.mark.parametrize(
    ("options", "environ", "said"),
    [
        (
            {},
            {"GCP_ACCESS_TOKEN": "CANARY", "GOOGLE_CREDENTIALS": KEY},
            "GCP_ACCESS_TOKEN and GOOGLE_CRED",
        ),
        ({}, {"GOOGLE_CREDENTIALS": KEY, "GCP_SERVICE_ACCOUNT_CONTENTS": OTHER}, "name two different accounts"),
        ({}, {"GCP_AUTH_KIND": "gcloud"}, "GCP_AUTH_KIND is 'gcloud'"),
        ({"auth_kind": "serviceaccount"}, {"GCP_ACCESS_TOKEN": "CANARY"}, "auth_kind is 'serviceaccount', and none of"),
        ({"auth_kind": "application", "access_token": "CANARY"}, {}, "access_token is given, and auth_kind is 'appl"),
        ({"service_account_email": "a@b", "access_token": "CANARY"}, {}, "are set, and only one of them can be used"),
        (
            {"service_account_file": "/none/CANARY.json"},
            {},
            "service_account_file is neither a key in JSON nor",
        ),
        ({"service_account_contents": "{CANARY"}, {}, "is not a service account's key in JSON"),
    ],
)
def test_on_google_cloud_two_credentials_and_unusable_ones_are_refused(
    options: dict[str, Any], environ: dict[str, str], said: str
) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        gcp.chosen(options, environ)
    assert "CANARY" not in str(refused.value)


def test_key_file_and_named_scopes_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(KEY)
    found = gcp.chosen({"service_account_file": str(path), "scopes": ["a"]}, {"GCP_SCOPES": "b, c"})
    assert (found.value, found.scopes) == (json.loads(KEY), ("a",))
    assert gcp.chosen({}, {"GCP_SCOPES": "b, c"}).scopes == ("b", "c")
    assert gcp.chosen({}, {}).scopes == gcp.SCOPES


@pytest.mark.parametrize(
    ("environ", "of_credentials", "domain"),
    [
        ({}, "", "googleapis.com"),
        ({}, "googleapis.com", "googleapis.com"),
        ({}, "s3nsapis.fr", "s3nsapis.fr"),
        ({gcp.UNIVERSE: "s3nsapis.fr"}, "googleapis.com", "s3nsapis.fr"),
        ({gcp.UNIVERSE: "s3nsapis.fr"}, "s3nsapis.fr", "s3nsapis.fr"),
    ],
)
def test_the_universe_is_that_of_environment_or_key(environ: dict[str, str], of_credentials: str, domain: str) -> None:
    assert gcp.universe(environ, of_credentials) == domain


def test_a_key_of_another_universe_than_the_environments_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'example.org', and the credentials are of 's3nsapis.fr'"):
        gcp.universe({gcp.UNIVERSE: "example.org"}, "s3nsapis.fr")
