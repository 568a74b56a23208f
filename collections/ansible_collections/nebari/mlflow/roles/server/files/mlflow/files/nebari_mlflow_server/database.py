"""Make SQLAlchemy's connections go through the gate, and tell which of its errors pass by themselves.

Nothing of SQLAlchemy is imported before MLflow is: the parent of the workers reads this file, too.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from nebari_mlflow_server.gate import FullError, Gate

PASSES = re.compile(r"08...|40...|53...|57P0.|57014|25006|25P03|55P03")
"""SQLSTATEs: connection, rollback, resources, shutdown and recovery, a standby, time limits, locks."""

STANDBY = "25006"
"""Read-only: the primary has moved, and the connection leads to where it was."""

HELD = "nebari_mlflow_held"


@dataclass
class Trouble:
    """What a request met."""

    met: bool = False


trouble: ContextVar[Trouble | None] = ContextVar("trouble", default=None)


def passes(error: BaseException) -> bool:
    """Say whether the same statement would succeed later; the error is the driver's."""
    code = getattr(error, "pgcode", None)
    if code:
        return bool(PASSES.fullmatch(code))
    return type(error).__name__ in {"OperationalError", "InterfaceError"}  # without a code: there was no connection


def install(gate: Gate) -> None:
    """Put the gate before the connections of every engine that MLflow creates from now on."""
    from sqlalchemy import event
    from sqlalchemy.dialects.postgresql.base import PGDialect
    from sqlalchemy.engine import Engine
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.pool import QueuePool

    class GatedPool(QueuePool):  # type: ignore[misc]
        """Opens as many connections as the gate lets in, and keeps as many open as MLflow's pool size says."""

        def __init__(self, creator: Any, **settings: Any) -> None:
            super().__init__(creator, **{**settings, "max_overflow": -1})

        def _do_get(self) -> Any:
            try:
                held = gate.enter()
            except FullError as error:
                _meet()
                raise OperationalError("all places at the database are taken", None, error) from None
            try:
                record = super()._do_get()
            except BaseException:
                gate.leave(held, working=False)
                raise
            record.record_info[HELD] = held
            return record

        def _do_return_conn(self, record: Any) -> None:
            held, working = record.record_info.pop(HELD, None), record.dbapi_connection is not None
            try:
                super()._do_return_conn(record)
            finally:
                gate.leave(held, working=working)

    def on_error(context: Any) -> None:
        error = context.original_exception
        if getattr(context, "is_pre_ping", False) or not passes(error):
            return  # a connection that fails its first test is replaced without anybody's notice
        _meet()
        if getattr(error, "pgcode", None) == STANDBY:
            context.is_disconnect = True
        if not isinstance(context.sqlalchemy_exception, OperationalError):
            # MLflow answers 503 to this class only, and 400 to its sisters.
            raise OperationalError(context.statement, None, error) from error

    PGDialect.poolclass = GatedPool
    event.listen(Engine, "handle_error", on_error)


def share_pool() -> None:
    """Give MLflow's stores, which use one database, one pool: a connection that one keeps is there for the others.

    A release of MLflow without these attributes ends here, rather than open more connections than it was granted.
    """
    from mlflow.store.jobs.sqlalchemy_store import SqlAlchemyJobStore
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracking

    for store in (Registry, SqlAlchemyJobStore):
        for name in ("_engine_map", "_engine_map_lock"):
            getattr(store, name)
            setattr(store, name, getattr(Tracking, name))


def _meet() -> None:
    found = trouble.get()
    if found:
        found.met = True
