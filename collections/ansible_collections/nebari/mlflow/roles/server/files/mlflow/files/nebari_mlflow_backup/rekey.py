"""Bring the database in line with the Secrets while a rotation runs: passwords, and rows that MLflow's keys encrypted.

The Secrets hold each value and the one before. Every server knows both by now, so the order of what follows is free,
and what was cut off is done again.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import mlflow_keys
from mlflow_schema import Database, attempt, driver

from nebari_mlflow_backup.report import Progress, RefusedError

SECRETS = Path(os.environ.get("SECRETS_FOLDER", "/mlflow/secrets"))
ADMINISTRATOR = "postgres"
UNLOGGED = ("log_statement = 'none'", "log_min_duration_statement = -1", "log_min_error_statement = 'panic'")
BUSY_SECONDS = 60.0
"""How long connections that were opened with the former password may go on with what they do."""

IDLE_SECONDS = 10.0
"""A connection that was idle for so long is given to no request any more: sitecustomize.py has it replaced before."""

WEBHOOKS = "SELECT webhook_id, secret FROM webhooks WHERE secret IS NOT NULL"
GATEWAY = "SELECT secret_id, encrypted_value, wrapped_dek, kek_version FROM secrets"
OLD_CONNECTIONS = """
FROM pg_stat_activity WHERE usename = ANY(%s) AND backend_start < %s AND client_addr IS NOT NULL
AND client_addr IS DISTINCT FROM inet_client_addr()
"""
UNUSED = f"""
AND coalesce(state, 'idle') = 'idle'
AND coalesce(state_change, backend_start) < clock_timestamp() - interval '{IDLE_SECONDS:.0f} s'
"""


def rekey(database: Database, progress: Progress) -> dict[str, Any]:
    """Set the passwords of the Secrets, end connections of former ones, and encrypt rows with MLflow's new keys."""
    result: dict[str, Any] = {**webhooks(database), **gateway(database, progress)}
    if (SECRETS / "postgresql").is_dir():
        result |= passwords(database, SECRETS / "postgresql", progress)
    return result


def webhooks(database: Database) -> dict[str, int]:
    """Encrypt the secrets of webhooks with the present key, unless the server has done so meanwhile."""
    name = "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"
    key, other = os.environ.get(name, ""), os.environ.get(mlflow_keys.OTHER + name, "")
    rows = database.query(WEBHOOKS) if "webhooks" in database.tables() else []
    fernet: Any = importlib.import_module("cryptography.fernet")
    statement = "UPDATE webhooks SET secret = %s WHERE webhook_id = %s AND secret = %s RETURNING 1"
    done = 0
    for identity, secret in rows:
        if not mlflow_keys.opens_fernet(secret, key) and mlflow_keys.opens_fernet(secret, other):
            new = fernet.Fernet(key).encrypt(fernet.Fernet(other).decrypt(secret.encode())).decode()
            done += len(database.query(statement, new, identity, secret))
    return {"webhooks": done}


def gateway(database: Database, progress: Progress) -> dict[str, int]:
    """Have MLflow wrap the keys of gateway secrets by the present passphrase. The version that a row tells stays.

    MLflow's own command does the same, but needs every server to be stopped, because it overwrites what they write.
    """
    name = "MLFLOW_CRYPTO_KEK_PASSPHRASE"
    passphrase, other = os.environ.get(name, ""), os.environ.get(mlflow_keys.OTHER + name, "")
    rows = database.query(GATEWAY) if "secrets" in database.tables() else []
    statement = "UPDATE secrets SET wrapped_dek = %s WHERE secret_id = %s AND wrapped_dek = %s RETURNING 1"
    done = 0
    for identity, value, wrapped, version in rows:
        wrapped = bytes(wrapped)
        if not other or mlflow_keys.opens_wrapped(wrapped, version, passphrase):
            continue
        if mlflow_keys.opens_wrapped(wrapped, version, other):
            progress.say("wrapping the keys of gateway secrets", f"{done} of {len(rows)}")
            crypto = _crypto()
            rotated = crypto.rotate_secret_encryption(
                bytes(value), wrapped, _manager(other, version), _manager(passphrase, version)
            )
            done += len(database.query(statement, rotated.wrapped_dek, identity, wrapped))
    return {"gateway_secrets": done}


@cache
def _crypto() -> Any:
    return importlib.import_module("mlflow.utils.crypto")


@cache
def _manager(passphrase: str, version: int) -> Any:
    return _crypto().KEKManager(passphrase=passphrase, kek_version=version)


def passwords(database: Database, folder: Path, progress: Progress) -> dict[str, int]:
    """Set both roles' passwords, try them, and end connections that were opened before. Only a hash is sent."""
    progress.say("setting the database's passwords")
    user = str(database.parameters["user"])
    roles = {ADMINISTRATOR: "postgres-password", user: "password"}
    administrator = _log_in(database.parameters, folder)
    encrypt: Any = importlib.import_module("psycopg2.extensions").encrypt_password
    with administrator.cursor() as cursor:
        for setting in UNLOGGED:
            cursor.execute(f"SET {setting}")
        for role, key in roles.items():
            hashed = encrypt(_value(folder, key), role, administrator, "scram-sha-256")
            quoted = importlib.import_module("psycopg2.extensions").quote_ident(role, administrator)
            cursor.execute(f"ALTER ROLE {quoted} PASSWORD %s", (hashed,))
        cursor.execute("SELECT clock_timestamp()")
        ((since,),) = cursor.fetchall()
    for role, key in roles.items():
        _try(database.parameters, role, folder, key)
    return {"passwords": len(roles), "connections_ended": _end_connections(administrator, list(roles), since, progress)}


def _value(folder: Path, key: str) -> str:
    file = folder / key
    return file.read_text(encoding="utf-8").rstrip("\r\n") if file.exists() else ""


def _log_in(parameters: Mapping[str, str], folder: Path) -> Any:
    """Connect as PostgreSQL's administrator with either password."""
    cause = ""
    for key in ("postgres-password", "other.postgres-password"):
        if value := _value(folder, key):
            connection, why = attempt({**parameters, "user": ADMINISTRATOR, "password": value})
            if not why:
                return connection
            cause = cause or why
    raise RefusedError(
        f"PostgreSQL does not take the administrator's password of the Secret: {cause.partition(chr(10))[0]}.",
        "Restart its pod, which sets the Secret's passwords, and run it again.",
    )


def _try(parameters: Mapping[str, str], role: str, folder: Path, key: str) -> None:
    """Log in with the new password, and see the former one refused."""
    connection, why = attempt({**parameters, "user": role, "password": _value(folder, key)})
    if why:
        message = f"PostgreSQL does not take the new password of {role}: {why.partition(chr(10))[0]}."
        raise driver().OperationalError(message)
    connection.close()


def _end_connections(administrator: Any, roles: list[str], since: Any, progress: Progress) -> int:
    """End what no request uses any more. What is left after a minute works without an end, and is ended, too."""
    ended, end = 0, progress.elapsed() + BUSY_SECONDS
    with administrator.cursor() as cursor:
        while True:
            last = progress.elapsed() >= end
            which = "" if last else UNUSED
            cursor.execute(f"SELECT pg_terminate_backend(pid) {OLD_CONNECTIONS} {which}", (roles, since))
            ended += len(cursor.fetchall())
            cursor.execute(f"SELECT count(*) {OLD_CONNECTIONS}", (roles, since))
            ((left,),) = cursor.fetchall()
            if not left or last:
                return ended
            progress.say("waiting for connections that were opened with the former password", str(left))
            time.sleep(0.5)
