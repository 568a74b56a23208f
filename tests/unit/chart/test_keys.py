"""Rows that MLflow encrypted: a database whose keys are lost stops the deploy, unless the loss was accepted."""

from __future__ import annotations

from typing import Any

import mlflow_keys
import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from mlflow_schema import Database, Migrations, SchemaError

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


class Tables(Database):
    """A database that holds these rows."""

    def __init__(self, webhooks: list[str] | None, gateway: list[tuple[bytes, int]] | None = None) -> None:
        super().__init__(None, Migrations(frozenset(), ""))
        self.rows: dict[str, list[Any] | None] = {"webhooks": webhooks, "secrets": gateway}
        self.disabled: list[object] = []

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def tables(self) -> frozenset[str]:
        return frozenset(name for name, rows in self.rows.items() if rows is not None)

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        if statement.startswith("UPDATE"):
            self.disabled += values
            return [(1,)]
        if " secrets" in statement:
            return self.rows["secrets"] or []
        webhooks = enumerate(self.rows["webhooks"] or [])
        return [(number, row) if "webhook_id" in statement else (row,) for number, row in webhooks]


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(mlflow_keys, "ITERATIONS", 1)
    mlflow_keys._key.cache_clear()
    monkeypatch.setenv("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", NEW)
    monkeypatch.setenv("MLFLOW_CRYPTO_KEK_PASSPHRASE", "new")
    monkeypatch.setenv("CREDENTIALS_FROM", "Secret demo-mlflow-keys")
    return monkeypatch


def webhook(key: str) -> str:
    return Fernet(key).encrypt(b"hmac").decode()


def gateway(passphrase: str, version: int = 1) -> tuple[bytes, int]:
    nonce = b"n" * mlflow_keys.NONCE
    return nonce + AESGCM(mlflow_keys._key(passphrase, version)).encrypt(nonce, b"dek", None), version


@pytest.mark.parametrize(
    ("database", "lost"),
    [
        (lambda: Tables(None), []),
        (lambda: Tables([], []), []),
        (lambda: Tables([webhook(NEW)], [gateway("new")]), []),
        (lambda: Tables([webhook(OLD), webhook(NEW)], [gateway("old"), gateway("new", 2)]), []),
        (lambda: Tables([webhook(OLD), webhook(OLD)]), ["2 webhook secrets (MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY)"]),
        (lambda: Tables(["not encrypted"]), ["1 webhook secret (MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY)"]),
        (lambda: Tables([], [gateway("old")]), ["1 gateway secret (MLFLOW_CRYPTO_KEK_PASSPHRASE)"]),
    ],
    ids=[
        "no tables",
        "no rows",
        "all open",
        "some open",
        "no webhook opens",
        "not encrypted",
        "no gateway secret opens",
    ],
)
def test_what_no_key_opens_is_lost(database: Any, lost: list[str]) -> None:
    assert list(mlflow_keys.lost(database())) == lost


def test_lost_keys_stop_and_both_ways_on_are_said() -> None:
    with pytest.raises(SchemaError) as refused:
        mlflow_keys.require(Tables([webhook(OLD)], [gateway("old")]))
    told = str(refused.value)
    assert told.startswith("The keys of Secret demo-mlflow-keys do not open what the database holds: 1 webhook")
    assert "put the Secret back from a backup" in told
    assert "secrets.acceptLostKeys" in told


@pytest.mark.parametrize("wrong", ["", "no Fernet key"])
def test_a_key_that_is_none_opens_nothing(wrong: str, keys: pytest.MonkeyPatch) -> None:
    keys.setenv("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", wrong)
    assert list(mlflow_keys.lost(Tables([webhook(NEW)])))


def test_an_accepted_loss_disables_only_what_no_key_opens(keys: pytest.MonkeyPatch) -> None:
    database = Tables([webhook(OLD), webhook(NEW)], [gateway("old")])
    mlflow_keys.give_up(database)
    assert database.disabled == []
    keys.setenv("ACCEPT_UNREADABLE_ROWS", "true")
    mlflow_keys.require(database)
    mlflow_keys.give_up(database)
    assert database.disabled == [0]


def test_rows_of_the_other_key_open_during_a_rotation(keys: pytest.MonkeyPatch) -> None:
    database = Tables([webhook(OLD)], [gateway("old", 3)])
    assert len(list(mlflow_keys.lost(database))) == 2
    keys.setenv("NEBARI_MLFLOW_OTHER_MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", OLD)
    keys.setenv("NEBARI_MLFLOW_OTHER_MLFLOW_CRYPTO_KEK_PASSPHRASE", "old")
    assert list(mlflow_keys.lost(database)) == []
