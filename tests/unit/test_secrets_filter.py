"""A secret that is given as text is found by name and by value, and what is none is let through."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.filter.secrets import holds_secret, is_secret, plain_secrets


@pytest.mark.parametrize(
    "name",
    [
        "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "MYSQL_PWD", "SMTP_PASS", "SENTRY_DSN", "OPENAI_KEY", "OPENAI_API_KEY",
        "GOOGLE_CREDENTIALS", "HF_TOKEN", "MLFLOW_CRYPTO_KEK_PASSPHRASE", "MLFLOW_FLASK_SERVER_SECRET_KEY",
        "AZURE_STORAGE_CONNECTION_STRING", "client_secret",
    ],
)  # fmt: skip
def test_a_name_that_says_secret_is_one(name: str) -> None:
    assert is_secret(name, "CANARY")
    assert is_secret(name, 12345678)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", "$(OTHER)"),
        ("DB_PASSWORD", ""),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/var/run/secrets/google/key.json"),
        ("SSL_KEY", "/certs/tls.key"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_KMS_KEY_ARN", "arn:aws:kms:eu-west-1:1:key/x"),
        ("WEBHOOK_PUBLIC_KEY", "MCowBQYDK2VwAyEA"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("MAX_TOKENS", "4096"),
        ("MLFLOW_S3_ENDPOINT_URL", "http://minio.dev.svc:9000"),
        ("DATABASE_URI", "postgresql://user@host:5432/db"),
        ("DATABASE_URI", "postgresql://user:$(DB_PASSWORD)@host:5432/db"),
        ("REPOSITORY", "https://host:8443/team/code@v1"),
        ("VERBOSE", True),
    ],
)
def test_what_is_no_secret_is_let_through(name: str, value: object) -> None:
    assert not is_secret(name, value)


@pytest.mark.parametrize(
    "text",
    [
        "redis://:CANARY@redis:6379/0",
        "postgresql+psycopg2://user:CANARY@host/db",
        "postgresql://user:CAN/ARY@host/db",
        "--backend-store-uri=postgresql://user:$(X)CANARY@host/db",
        "-----BEGIN RSA PRIVATE KEY-----\nCANARY",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=CANARY",
    ],
)
def test_a_password_in_a_text_is_a_secret_anywhere(text: str) -> None:
    assert holds_secret(text)


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"tracking": {"extraEnvVars": [{"name": "OPENAI_KEY", "value": "CANARY"}]}}, "tracking.extraEnvVars[0]"),
        ({"storage": {"env": {"DB_PASS": "CANARY"}}}, "storage.env.DB_PASS"),
        ({"tracking": {"extraArgs": ["--x", "redis://:CANARY@h"]}}, "tracking.extraArgs[1]"),
        ({"route": {"ingress": {"annotations": {"a/b": "http://u:CANARY@h"}}}}, "route.ingress.annotations.a/b"),
    ],
)
def test_a_refusal_names_key_and_fix_and_never_the_value(values: dict[str, Any], where: str) -> None:
    (sentence,) = plain_secrets(values, "x")
    assert sentence.startswith(f"x.{where} ")
    assert "valueFrom.secretKeyRef" in sentence
    assert "CANARY" not in sentence


def test_references_and_names_of_secrets_are_no_secrets() -> None:
    reference = {"secretKeyRef": {"name": "db", "key": "password"}}
    values = {
        "storage": {"secret": "bucket-keys", "env": {"AWS_DEFAULT_REGION": "eu-west-1"}},
        "tracking": {"extraEnvVars": [{"name": "DB_PASSWORD", "valueFrom": reference}]},
        "externalDatabase": {"existingSecret": "db", "existingSecretPasswordKey": "password"},
    }
    assert plain_secrets(values) == []
