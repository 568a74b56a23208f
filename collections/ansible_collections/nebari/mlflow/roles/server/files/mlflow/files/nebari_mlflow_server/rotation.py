"""Know two values of each key as long as a rotation runs: the one that is used, and the one that may still be met.

Until every pod knows the new value, the other one is the new; afterwards it is the one before. A row of the database
that a pod meets meanwhile opens with one of them, so nothing fails. For the password, see sitecustomize.py.
"""

from __future__ import annotations

import functools
import os

OTHER = "NEBARI_MLFLOW_OTHER_"
"""Prefix of the environment variable that holds the other value."""


def install() -> None:
    """Have MLflow use the other values too. Without a rotation there are none, and nothing is changed."""
    for name, use in KEYS.items():
        if other := os.environ.get(OTHER + name, ""):
            use(other)


def use_passphrase(passphrase: str) -> None:
    """Open what is wrapped by another key of the AI gateway."""
    from mlflow.exceptions import MlflowException
    from mlflow.utils import crypto

    first = crypto.unwrap_dek

    @functools.cache
    def key() -> bytes:
        found: bytes = crypto.KEKManager(passphrase=passphrase).get_kek()
        return found

    @functools.wraps(first)
    def unwrap(wrapped_dek: bytes, kek: bytes) -> bytes:
        try:
            found: bytes = first(wrapped_dek, kek)
        except MlflowException:
            found = first(wrapped_dek, key())
        return found

    crypto.unwrap_dek = unwrap


def use_fernet(token: str) -> None:
    """Open what is encrypted with another key of webhooks; what is written is encrypted with the first."""
    from cryptography.fernet import Fernet, MultiFernet
    from mlflow.store.model_registry.dbmodels.models import SqlWebhook

    column = SqlWebhook.__table__.columns["secret"].type
    column.cipher = MultiFernet([column.cipher, Fernet(token)])


KEYS = {"MLFLOW_CRYPTO_KEK_PASSPHRASE": use_passphrase, "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": use_fernet}
"""MLflow's keys that encrypt rows of the database, each with what makes MLflow open rows of another one."""
