"""Spare MLflow's checks of permissions what cannot have changed since they last looked.

Each check reads the person several times and, for a run, all that was logged to it, to learn in which experiment it is.
Many parse the request, which its handler parses again. Grants are read for every request, so a grant or a denial counts
at once in every worker.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import logging
import threading
import time
from collections.abc import Callable, Collection
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

from nebari_mlflow_server.memory import Recent
from nebari_mlflow_server.people import current

_logger = logging.getLogger("mlflow.server.nebari")

NOBODY, NOWHERE = -1, "nebari-mlflow:nowhere"
"""A user and a workspace that no store has."""

RUNS = 50_000
"""Runs whose experiment a worker remembers; some 10 MB."""

PATHS = 1_000
"""Paths of which a worker remembers whether Flask or FastAPI answers them."""

LONGEST = 300
"""Characters of a path that is remembered."""

WAIT_SECONDS = 0.05
"""How long a thread waits for the connection that reads grants. It is used for less than a millisecond each time."""

AWAY_SECONDS = 1.0
"""How long that connection is not tried again after a failure."""


def spare(auth: Any, handlers: Any, seconds: float) -> None:
    """Wrap MLflow's lookups. A release that has lost one of these functions ends here."""
    _own_user(auth.store, seconds)
    _home_of_a_run(auth)
    _message_of_a_request(handlers)
    _kind_of_a_path(auth)


def _own_user(store: Any, seconds: float) -> None:
    """Read the person whose request is served once in `seconds`, unless this worker changes the person meanwhile."""
    users: Recent[Any] = Recent(seconds, 10_000)
    get = store.get_user

    @functools.wraps(get)
    def get_user(username: str) -> Any:
        person = current.get()
        if person is None or person.name != username:
            return get(username)
        found = users.get(username)
        if found is None:
            found = get(username)
            users.keep(username, found)
        return found

    def forgetting(call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def called(username: str, *arguments: Any, **named: Any) -> Any:
            users.forget(username)
            try:
                return call(username, *arguments, **named)
            finally:
                users.forget(username)

        return called

    store.get_user = get_user
    for name in ("create_user", "update_user", "delete_user"):
        setattr(store, name, forgetting(getattr(store, name)))


def _home_of_a_run(auth: Any) -> None:
    """Remember in which experiment a run is, which never changes. Whether it still exists, the request finds out."""
    homes: Recent[str] = Recent(float("inf"), RUNS)
    known: ContextVar[Any] = ContextVar("home of the run", default=None)
    requirement, fetch = auth._run_requirement, auth._fetch_or_none

    @functools.wraps(requirement)
    def run_requirement(run_id: str, action: str) -> Any:
        home = homes.get(run_id)
        if home is None:
            found = requirement(run_id, action)
            if found is not None:
                homes.keep(run_id, str(found[0][1]))
            return found
        known.set(SimpleNamespace(info=SimpleNamespace(experiment_id=home)))
        try:
            return requirement(run_id, action)
        finally:
            known.set(None)

    @functools.wraps(fetch)
    def fetch_or_none(*arguments: Any, **named: Any) -> Any:
        return known.get() or fetch(*arguments, **named)

    auth._run_requirement, auth._fetch_or_none = run_requirement, fetch_or_none


def _message_of_a_request(handlers: Any) -> None:
    """Give a handler the message that the check before it has parsed from the same JSON."""
    parsed: ContextVar[tuple[Any, Any] | None] = ContextVar("request", default=None)
    parse = handlers.parse_dict

    @functools.wraps(parse)
    def parse_dict(values: Any, message: Any) -> None:
        known = parsed.get()
        if known and known[0] is values and type(known[1]) is type(message):
            message.CopyFrom(known[1])
            return
        parse(values, message)
        kept = type(message)()
        kept.CopyFrom(message)
        parsed.set((values, kept))

    handlers.parse_dict = parse_dict


def _kind_of_a_path(auth: Any) -> None:
    """Remember whether a path is one of FastAPI's own routes, all of which MLflow compares with each request."""
    compare = getattr(auth, "_scope_matches_native_route", None)
    if compare is None:
        return  # in another release it may be found out in another way
    known: Recent[bool] = Recent(float("inf"), PATHS)

    @functools.wraps(compare)
    def compared(routes: Any, scope: Any) -> bool:
        key = f"{scope['type']} {scope['method']} {scope.get('root_path', '')} {scope['path']}"
        found = known.get(key)
        if found is None:
            found = bool(compare(routes, scope))
            if len(key) < LONGEST:
                known.keep(key, found)
        return found

    auth._scope_matches_native_route = compared


def read_grants_at_once(store: Any) -> None:
    """Read grants by MLflow's own statement, whose text is the same for each request, on a connection of their own.

    SQLAlchemy takes longer to build it again, to make a session and to test a connection than PostgreSQL to answer.
    What fails on that connection is asked again in MLflow's own way, so its errors are MLflow's. A release of MLflow
    that reads its grants in another way ends here.
    """
    from mlflow.server.auth.sqlalchemy_store import RoleGrantRow
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    statement = functools.lru_cache(maxsize=100)(_statements(store))
    statement(frozenset({"experiment"}))
    reader = Reader(create_engine(store.engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect)
    read = store.list_grants

    @functools.wraps(read)
    def list_grants(user_id: int, workspace: str, resource_types: Collection[str]) -> list[Any]:
        text, parameters = statement(frozenset(resource_types))
        given = {NOBODY: user_id, NOWHERE: workspace}
        rows = reader.rows(text, {name: given.get(value, value) for name, value in parameters.items()})
        return read(user_id, workspace, resource_types) if rows is None else [RoleGrantRow(*row) for row in rows]

    store.list_grants = list_grants


class Reader:
    """One connection of a worker, outside its pools. It is opened when it is first needed."""

    def __init__(self, connect: Callable[[], Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._connect, self._clock, self._lock = connect, clock, threading.Lock()
        self._connection: Any = None
        self._again = float("-inf")

    def rows(self, text: str, parameters: dict[str, Any]) -> list[Any] | None:
        """Return what a statement finds; None if this connection is busy or does not work."""
        if self._clock() < self._again or not self._lock.acquire(timeout=WAIT_SECONDS):
            return None
        try:
            if self._connection is None:
                self._connection = self._connect()
            found: list[Any] = self._connection.exec_driver_sql(text, parameters).all()
        except Exception as error:
            self._give_up(error)
            return None
        else:
            return found
        finally:
            self._lock.release()

    def _give_up(self, error: Exception) -> None:
        """Close a connection that failed."""
        _logger.info("Grants are read through MLflow's pool, since their own connection failed: %s", error)
        connection, self._connection = self._connection, None
        self._again = self._clock() + AWAY_SECONDS
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.invalidate()
                connection.close()


def _statements(store: Any) -> Callable[[frozenset[str]], tuple[str, dict[str, Any]]]:
    """Return what finds out the statement for some types of resources, with its parameters for nobody."""
    from sqlalchemy import event

    asked: list[tuple[str, Any]] = []
    asking = threading.Lock()
    engine = store.engine.execution_options()  # one of its own, so that nothing else is heard
    event.listen(engine, "before_cursor_execute", lambda *said: asked.append(said[2:4]))
    reader = copy.copy(store)
    reader.ManagedSessionMaker = _sessions(store, engine)

    def statement(types: frozenset[str]) -> tuple[str, dict[str, Any]]:
        with asking:
            asked.clear()
            reader.list_grants(NOBODY, NOWHERE, types)
            ((text, parameters),) = asked
        if not {NOBODY, NOWHERE} <= {*parameters.values()}:
            message = f"MLflow reads grants in a way that is not known here: {text}"
            raise RuntimeError(message)
        return text, parameters

    return statement


def _sessions(store: Any, engine: Any) -> Any:
    """Sessions as MLflow's store makes them, whose errors are MLflow's."""
    from mlflow.store.db.utils import _get_managed_session_maker
    from sqlalchemy.orm import sessionmaker

    return _get_managed_session_maker(sessionmaker(bind=engine), store.db_type)
