"""Python runs this in every process of the server's pod, whose PYTHONPATH leads here: MLflow has more than the workers.

While a rotation runs, the database takes one of two passwords, and nobody knows which one until it is asked.
Connections that the former password opened are ended once it is changed. One that a request has just been given must
not be among them, so each of them is used for a few seconds only, and the rotation ends what is idle for longer.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from typing import Any
from weakref import WeakKeyDictionary

OTHER = "NEBARI_MLFLOW_OTHER_PGPASSWORD"
REFUSED = "password authentication failed"
USED_SECONDS = 5.0
"""How long after its opening a connection of the other password is given to a request."""

_opened: WeakKeyDictionary[Any, float] = WeakKeyDictionary()


def trying(first: Any, error: type[Exception], password: str) -> Any:
    """Return the driver's `connect` that tries another password if the first one is refused."""

    @functools.wraps(first)
    def connect(*arguments: Any, **named: Any) -> Any:
        try:
            return first(*arguments, **named)
        except error as refused:
            if REFUSED not in str(refused):
                raise
        connection = first(*arguments, **{**named, "password": password})
        _opened[connection] = time.monotonic()
        if "sqlalchemy" in sys.modules:
            replace_old_ones()
        return connection

    return connect


def is_old(connection: Any) -> bool:
    """Say if the other password opened this connection, and too long ago for another request."""
    return time.monotonic() - _opened.get(connection, time.monotonic()) >= USED_SECONDS


@functools.cache
def replace_old_ones() -> None:
    """Have every pool of SQLAlchemy replace an old connection by a new one before it is given to a request."""
    from sqlalchemy import event
    from sqlalchemy.exc import DisconnectionError
    from sqlalchemy.pool import Pool

    def check(connection: Any, _record: Any, _proxy: Any) -> None:
        if is_old(connection):
            raise DisconnectionError("The former password opened this connection.")

    event.listen(Pool, "checkout", check)


def install(password: str) -> None:
    """Replace the driver's `connect`. Without a driver there is nothing to log in to."""
    try:
        import psycopg2
    except ImportError:
        return
    psycopg2.connect = trying(psycopg2.connect, psycopg2.OperationalError, password)


if os.environ.get(OTHER):
    install(os.environ[OTHER])
