"""Spare MLflow's checks of permissions what cannot have changed since they last looked.

Each check reads the person several times and, for a run, all that was logged to it, to learn in which experiment it is.
Grants are read for every request, so a grant or a denial counts at once in every worker.
"""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Callable, Collection
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

from nebari_mlflow_server.memory import Recent
from nebari_mlflow_server.people import current

NOBODY, NOWHERE = -1, "nebari-mlflow:nowhere"
"""A user and a workspace that no store has."""

RUNS = 50_000
"""Runs whose experiment a worker remembers; some 10 MB."""


def spare(auth: Any, seconds: float) -> None:
    """Wrap MLflow's lookups. A release that has lost one of these functions ends here."""
    _own_user(auth.store, seconds)
    _home_of_a_run(auth)


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


def read_grants_at_once(store: Any) -> None:
    """Read grants by MLflow's own statement, whose text is the same for each request, outside a transaction.

    SQLAlchemy takes longer to build it again than PostgreSQL to answer it. A release of MLflow that reads its grants in
    another way ends here.
    """
    from mlflow.server.auth.sqlalchemy_store import RoleGrantRow

    statement = functools.lru_cache(maxsize=100)(_statements(store))
    statement(frozenset({"experiment"}))
    sessions = _sessions(store, store.engine.execution_options(isolation_level="AUTOCOMMIT"))

    @functools.wraps(store.list_grants)
    def list_grants(user_id: int, workspace: str, resource_types: Collection[str]) -> list[Any]:
        text, parameters = statement(frozenset(resource_types))
        given = {NOBODY: user_id, NOWHERE: workspace}
        filled = {name: given.get(value, value) for name, value in parameters.items()}
        with sessions() as session:
            return [RoleGrantRow(*row) for row in session.connection().exec_driver_sql(text, filled)]

    store.list_grants = list_grants


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
