"""MLflow's application with what stands in front of it. `mlflow server --app-name nebari-mlflow` runs it.

Nothing of MLflow is imported before the application is created: the parent of the workers reads this file, too.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib
import json
import os
from collections.abc import Callable
from typing import Any

from nebari_mlflow_server import (
    answers,
    authors,
    connections,
    database,
    lookups,
    members,
    metrics,
    permissions,
    rotation,
    searches,
)
from nebari_mlflow_server.doors import Doorkeeper, Doors
from nebari_mlflow_server.first_view import FirstView
from nebari_mlflow_server.gate import Gate
from nebari_mlflow_server.identity import Identity
from nebari_mlflow_server.locations import LocationError, Locations
from nebari_mlflow_server.origins import Origins
from nebari_mlflow_server.probes import Probes
from nebari_mlflow_server.retry import Retryable, Threads
from nebari_mlflow_server.slots import BusyError, Slots, hold_other_store

RESOLVED = frozenset({"runs", "models"})
"""Schemes whose repositories stand for another location, which is checked when it is opened in turn."""

LOCATIONS = "NEBARI_MLFLOW_ARTIFACT_LOCATIONS"
"""Environment variable: a JSON list of the locations beside the store."""

PLACES = "NEBARI_MLFLOW_DATABASE_PLACES"
"""Environment variable: requests of a worker that use the database at the same time."""

ACCESS = "NEBARI_MLFLOW_ACCESS"
"""Environment variable: a JSON object that says how people are known. Missing: everyone who gets here may do all."""


def create_app() -> Any:
    """Return the application that each of uvicorn's workers serves."""
    access = json.loads(os.environ.get(ACCESS, "null"))
    if access:
        members.configure(access["default_permission"])
    from mlflow.server import ARTIFACTS_DESTINATION_ENV_VAR, handlers
    from mlflow.server.fastapi_security import get_allowed_origins
    from mlflow.store.artifact.artifact_repository_registry import get_registered_artifact_repositories
    from mlflow.store.tracking import sqlalchemy_store

    locations = Locations(os.environ[ARTIFACTS_DESTINATION_ENV_VAR], json.loads(os.environ.get(LOCATIONS, "[]")))
    keep_to(locations, handlers, get_registered_artifact_repositories())
    offer_the_proxy_alone(handlers)
    answers.without_blanks(handlers)
    gate = Gate(int(os.environ[PLACES]))
    database.install(gate)
    database.share_pool()
    rotation.install()
    app = known_people(access) if access else anyone()
    searches.few_first(sqlalchemy_store)
    # Now, and not at the first request: while the database is away, MLflow's first connection is retried for minutes.
    handlers._get_tracking_store()
    handlers._get_model_registry_store()
    # From the inside to the outside.
    if os.environ.get("MLFLOW_DISABLE_TELEMETRY") == "true":
        app.add_middleware(FirstView)
    app.add_middleware(Retryable)
    app.add_middleware(Origins, allowed=get_allowed_origins())
    app.add_middleware(Probes, gate=gate, read=read_database)
    metrics.add(app)  # the last one added is the first that a request meets, so what others refuse counts, too
    connections.take_in_turns()
    connections.send_at_once()
    leave_alone_what_is_there()
    return app


def leave_alone_what_is_there() -> None:
    """Take the 300,000 objects of the libraries out of what Python searches for garbage.

    It searches all objects each time that enough new ones have lasted, in a pause of some tenths of a second, and an
    answer with a hundred runs makes many. That took a third of the processor's time of such searches.
    """
    gc.collect()
    gc.freeze()


async def read_database() -> None:
    """Read an experiment, in a thread of its own. Raises what MLflow raises if the database does not answer."""
    from mlflow.server import handlers

    await asyncio.to_thread(handlers._get_tracking_store().search_experiments, max_results=1)


def anyone() -> Any:
    """MLflow's application for everyone whom the network lets in."""
    from mlflow.server.fastapi_app import app

    app.add_middleware(Threads)
    app.add_middleware(Slots)
    return app


def known_people(access: dict[str, Any]) -> Any:
    """MLflow's application with its permissions, for people whom another service vouches for."""
    from mlflow.server import app as flask_app
    from mlflow.server import auth, handlers
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracking
    from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME

    if access.get("openid"):
        importlib.import_module("jwt")  # an image without PyJWT fails now, and not at the first token
    app = auth.create_app(flask_app)
    answers.known_to_checks(auth, handlers)
    lookups.spare(auth, handlers, access["remember_seconds"])
    lookups.read_grants_at_once(auth.store)
    authors.write_down(Tracking, Registry)
    permissions.check_at_less_cost(app, auth)
    known = members.Members(auth.store, DEFAULT_WORKSPACE_NAME, access["teams"])
    members.keep_new_ones(flask_app, known)

    app.add_middleware(Threads)
    app.add_middleware(Slots)
    doorkeeper = Doorkeeper(Doors.from_settings(access, os.environ), known.admit, access["remember_seconds"])
    app.add_middleware(Identity, doorkeeper=doorkeeper, metrics=access["metrics"], log=access["log"])
    return app


def keep_to(locations: Locations, handlers: Any, repositories: dict[str, Callable[..., Any]]) -> None:
    """Check a location when a client gives it, and each time before one is opened.

    MLflow opens all of them through its repositories, but for those of the proxy, which it resolves to paths first.
    A release of MLflow that has lost one of these functions ends here, rather than serve without the check.
    """
    for scheme, repository in list(repositories.items()):
        if scheme not in RESOLVED:
            repositories[scheme] = _checked(repository, locations)
    validate, resolve = handlers._validate_storage_location_uri, handlers._get_proxied_run_artifact_destination_path

    @functools.wraps(validate)
    def validated(value: str, field_name: str) -> Any:
        found = validate(value, field_name)
        _as_mlflow_says(locations.check, value)
        return found

    @functools.wraps(resolve)
    def resolved(proxied_artifact_root: str, relative_path: str | None = None) -> Any:
        path = resolve(proxied_artifact_root, relative_path)
        _as_mlflow_says(locations.check_below_store, path, proxied_artifact_root)
        return path

    handlers._validate_storage_location_uri = validated
    handlers._get_proxied_run_artifact_destination_path = resolved


def offer_the_proxy_alone(handlers: Any) -> None:
    """Tell clients nothing of transfers past the server, which they otherwise choose by themselves.

    Not every client reaches the store, and one that does not tries again for ten minutes a file. Without a private key,
    the server's identity signs no address of Google's store. A client that wants them sets MLflow's own variables.
    """
    build = getattr(handlers, "build_server_info_payload", None)
    if build is None:
        return  # MLflow before 3.17, which only an upgrade meets

    @functools.wraps(build)
    def built() -> Any:
        return {**build(), "multipart_uploads_enabled": False, "multipart_downloads_enabled": False}

    handlers.build_server_info_payload = built


def _checked(repository: Callable[..., Any], locations: Locations) -> Callable[..., Any]:
    def check(artifact_uri: str) -> None:
        locations.check(artifact_uri)
        if not locations.in_store(artifact_uri):
            hold_other_store()

    @functools.wraps(repository)
    def opened(artifact_uri: str, *arguments: Any, **named: Any) -> Any:
        _as_mlflow_says(check, artifact_uri)
        return repository(artifact_uri, *arguments, **named)

    return opened


def _as_mlflow_says(check: Callable[..., None], *arguments: str) -> None:
    """Turn a refusal into MLflow's own, which its handlers answer with 400 or 503."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

    try:
        check(*arguments)
    except LocationError as error:
        raise MlflowException.invalid_parameter_value(str(error)) from None
    except BusyError:
        text = "All places for requests to stores of tracking.artifactLocations are taken: try again."
        raise MlflowException(text, TEMPORARILY_UNAVAILABLE) from None
