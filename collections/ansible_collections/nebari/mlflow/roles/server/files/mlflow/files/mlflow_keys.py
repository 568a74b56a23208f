"""Find out whether the keys of this deployment still open what MLflow encrypted in its database."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from mlflow_schema import Database, SchemaError

WEBHOOKS = "SELECT secret FROM webhooks WHERE secret IS NOT NULL AND deleted_timestamp IS NULL"
GATEWAY = "SELECT wrapped_dek, kek_version FROM secrets"
ACCEPTED = "ACCEPT_UNREADABLE_ROWS"
OTHER = "NEBARI_MLFLOW_OTHER_"
"""Prefix of the environment variable that holds a key's other value."""

# As MLflow's utils/crypto.py has them; a test compares the two.
SALT = b"mlflow-secrets-kek-v1-2025"
ITERATIONS = 600_000
NONCE = 12


def values(name: str) -> list[str]:
    """Return the value of a key, and the other one as long as a rotation runs."""
    return [value for each in (name, OTHER + name) if (value := os.environ.get(each, ""))]


def opens_webhook(token: str) -> bool:
    """Say whether MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY opens the secret of a webhook."""
    return any(opens_fernet(token, key) for key in values("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"))


def opens_fernet(token: str, key: str) -> bool:
    """Say whether one key opens the secret of a webhook."""
    fernet = importlib.import_module("cryptography.fernet")
    try:
        fernet.Fernet(key).decrypt(token.encode())
    except (fernet.InvalidToken, ValueError):
        return False
    return True


def opens_gateway(wrapped: bytes, version: int) -> bool:
    """Say whether MLFLOW_CRYPTO_KEK_PASSPHRASE opens the key of a gateway secret."""
    return any(opens_wrapped(wrapped, version, each) for each in values("MLFLOW_CRYPTO_KEK_PASSPHRASE"))


def opens_wrapped(wrapped: bytes, version: int, passphrase: str) -> bool:
    """Say whether one passphrase opens the key of a gateway secret."""
    aead = importlib.import_module("cryptography.hazmat.primitives.ciphers.aead")
    invalid = importlib.import_module("cryptography.exceptions").InvalidTag
    try:
        aead.AESGCM(_key(passphrase, version)).decrypt(wrapped[:NONCE], wrapped[NONCE:], None)
    except (invalid, ValueError):
        return False
    return True


@cache
def _key(passphrase: str, version: int) -> bytes:
    salt = SALT + version.to_bytes(4, "big")
    return hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, ITERATIONS, 32)


def lost(database: Database) -> Iterator[str]:
    """Yield what no key opens, as the words of a sentence.

    One row that opens is enough: MLflow works with this key, and what does not open was given up before.
    """
    tables = database.tables()
    found: list[tuple[str, str, str, str, Callable[..., bool], Callable[[Any], Any]]] = [
        ("webhooks", WEBHOOKS, "webhook", "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", opens_webhook, str),
        ("secrets", GATEWAY, "gateway", "MLFLOW_CRYPTO_KEK_PASSPHRASE", opens_gateway, bytes),
    ]
    for table, statement, what, key, opens, read in found:
        rows = database.query(statement) if table in tables else []
        if rows and not any(opens(read(value), *rest) for value, *rest in rows):
            yield f"{len(rows)} {what} secret{'s' if len(rows) > 1 else ''} ({key})"


def require(database: Database) -> None:
    """Stop where going on would lose what is encrypted, unless that was accepted."""
    if os.environ.get(ACCEPTED) == "true" or not (unreadable := " and ".join(lost(database))):
        return
    message = (
        f"The keys of {os.environ.get('CREDENTIALS_FROM', 'this deployment')} do not open what the database holds: "
        f"{unreadable}. Fix: put the Secret back from a backup. If the keys are lost, set secrets.acceptLostKeys to "
        "true: webhooks lose their secret and are disabled, gateway secrets must be entered again."
    )
    raise SchemaError(message)


def give_up(database: Database) -> None:
    """Disable the webhooks that no key opens, where that was accepted: MLflow could not even list them."""
    if os.environ.get(ACCEPTED) != "true" or "webhooks" not in database.tables():
        return
    for identity, secret in database.query("SELECT webhook_id, secret FROM webhooks WHERE secret IS NOT NULL"):
        if not opens_webhook(secret):
            statement = "UPDATE webhooks SET secret = NULL, status = 'DISABLED' WHERE webhook_id = %s RETURNING 1"
            database.query(statement, identity)
            print(f"webhook {identity}: its secret could not be decrypted; disabled", flush=True)
