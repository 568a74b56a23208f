"""Write down the real author of runs, models, traces and comments, whatever the client says.

This happens where MLflow's stores are called, so every way in is covered. A release of MLflow that has lost one of
these functions ends here, rather than serve with names that anyone can choose.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from nebari_mlflow_server.people import Person, current

USER = "mlflow.user"
HUMAN = "HUMAN"


def write_down(tracking: type[Any], registry: type[Any]) -> None:
    """Wrap the functions of the two store classes."""
    from mlflow.entities import LoggedModelTag, RunTag
    from mlflow.entities.model_registry import ModelVersionTag

    def run(person: Person, given: dict[str, Any]) -> None:
        given["user_id"] = person.name
        given["tags"] = signed(given["tags"], RunTag(USER, person.name))

    def logged_model(person: Person, given: dict[str, Any]) -> None:
        given["tags"] = signed(given.get("tags"), LoggedModelTag(USER, person.name))

    def version(person: Person, given: dict[str, Any]) -> None:
        given["tags"] = signed(given.get("tags"), ModelVersionTag(USER, person.name))

    def dataset(person: Person, given: dict[str, Any]) -> None:
        given["tags"] = {**(given.get("tags") or {}), USER: person.name}

    def trace(person: Person, given: dict[str, Any]) -> None:
        given["trace_info"].trace_metadata[USER] = person.name

    def comment(person: Person, given: dict[str, Any]) -> None:
        source = given["assessment"].source
        if source is not None and source.source_type == HUMAN:
            source.source_id = person.name

    _wrap(tracking, "create_run", ("experiment_id", "user_id", "start_time", "tags", "run_name"), run)
    _wrap(tracking, "create_logged_model", ("experiment_id", "name", "source_run_id", "tags"), logged_model)
    _wrap(tracking, "create_dataset", ("name", "tags", "experiment_ids"), dataset)
    _wrap(tracking, "start_trace", ("trace_info",), trace)
    _wrap(tracking, "create_assessment", ("assessment",), comment)
    _wrap(registry, "create_model_version", ("name", "source", "run_id", "tags"), version)
    _wrap(tracking, "set_tag", ("run_id", "tag"), lambda person, given: stay(person, [given["tag"]]))
    _wrap(tracking, "delete_tag", ("run_id", "key"), lambda person, given: _stay(person, given["key"]))
    _wrap(
        tracking,
        "log_batch",
        ("run_id", "metrics", "params", "tags"),
        lambda person, given: stay(person, given["tags"] or []),
    )


def signed(tags: list[Any] | None, tag: Any) -> list[Any]:
    """Return the tags with the author's, and no other author."""
    return [*(each for each in tags or [] if each.key != USER), tag]


def stay(person: Person, tags: list[Any]) -> None:
    """Nobody but an administrator gives a run another author."""
    for tag in tags:
        _stay(person, tag.key)


def _stay(person: Person, key: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

    if key == USER and not person.is_admin:
        text = f"The tag {USER} says who created the run; only an administrator can change it."
        raise MlflowException(text, PERMISSION_DENIED)


def _wrap(
    store: type[Any], name: str, parameters: tuple[str, ...], change: Callable[[Person, dict[str, Any]], None]
) -> None:
    """Change what a store's function is given, if a person's request calls it."""
    call = getattr(store, name)

    @functools.wraps(call)
    def wrapped(self: Any, *arguments: Any, **more: Any) -> Any:
        person = current.get()
        if person is None:
            return call(self, *arguments, **more)
        given = {**dict(zip(parameters, arguments, strict=False)), **more}
        rest = arguments[len(parameters) :]
        change(person, given)
        if rest:
            ordered = [given.pop(parameter) for parameter in parameters]
            return call(self, *ordered, *rest, **given)
        return call(self, **given)

    setattr(store, name, wrapped)
