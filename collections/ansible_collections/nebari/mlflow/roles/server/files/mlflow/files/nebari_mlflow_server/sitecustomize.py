"""Python runs this in every process of the server's pod, whose PYTHONPATH leads here: MLflow has more than the workers.

While a rotation runs, the database takes one of two passwords, and nobody knows which one until it is asked.
"""

from __future__ import annotations

import functools
import os
from typing import Any

OTHER = "NEBARI_MLFLOW_OTHER_PGPASSWORD"
REFUSED = "password authentication failed"


def trying(first: Any, error: type[Exception], password: str) -> Any:
    """Return the driver's `connect` that tries another password if the first one is refused."""

    @functools.wraps(first)
    def connect(*arguments: Any, **named: Any) -> Any:
        try:
            return first(*arguments, **named)
        except error as refused:
            if REFUSED not in str(refused):
                raise
        return first(*arguments, **{**named, "password": password})

    return connect


def install(password: str) -> None:
    """Replace the driver's `connect`. Without a driver there is nothing to log in to."""
    try:
        import psycopg2
    except ImportError:
        return
    psycopg2.connect = trying(psycopg2.connect, psycopg2.OperationalError, password)


if os.environ.get(OTHER):
    install(os.environ[OTHER])
