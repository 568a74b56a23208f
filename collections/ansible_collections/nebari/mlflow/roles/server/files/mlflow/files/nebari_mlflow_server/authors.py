"""Write down the real author of runs, models, traces and comments, whatever the client says.

This happens where MLflow's stores are called, so every way in is covered. A release of MLflow that has lost one of
these functions ends here, rather than serve with names that anyone can choose.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nebari_mlflow_server.people import Person, current

USER = "mlflow.user"
HUMAN = "HUMAN"

Step = Callable[[Any, Person, dict[str, Any]], None]
"""Is given the store, the person, and what the function is called with, by name."""


def write_down(tracking: type[Any], registry: type[Any]) -> None:
    """Wrap the functions of the two store classes."""
    _runs(tracking)
    _models(tracking, registry)
    _traces(tracking)
    _datasets(tracking)


def _runs(tracking: type[Any]) -> None:
    from mlflow.entities import RunTag

    def run(_store: Any, person: Person, given: dict[str, Any]) -> None:
        given["user_id"] = person.name
        given["tags"] = signed(given["tags"], RunTag(USER, person.name))

    _wrap(tracking, "create_run", ("experiment_id", "user_id", "start_time", "tags", "run_name"), run)
    _wrap(tracking, "set_tag", ("run_id", "tag"), _keep)
    _wrap(tracking, "delete_tag", ("run_id", "key"), _keep)
    _wrap(tracking, "log_batch", ("run_id", "metrics", "params", "tags"), _keep)


def _models(tracking: type[Any], registry: type[Any]) -> None:
    from mlflow.entities import LoggedModelTag
    from mlflow.entities.model_registry import ModelVersionTag

    def logged_model(_store: Any, person: Person, given: dict[str, Any]) -> None:
        given["tags"] = signed(given.get("tags"), LoggedModelTag(USER, person.name))

    def version(_store: Any, person: Person, given: dict[str, Any]) -> None:
        given["tags"] = signed(given.get("tags"), ModelVersionTag(USER, person.name))

    _wrap(tracking, "create_logged_model", ("experiment_id", "name", "source_run_id", "tags"), logged_model)
    _wrap(tracking, "set_logged_model_tags", ("model_id", "tags"), _keep)
    _wrap(tracking, "delete_logged_model_tag", ("model_id", "key"), _keep)
    _wrap(registry, "create_model_version", ("name", "source", "run_id", "tags"), version)
    _wrap(registry, "set_model_version_tag", ("name", "version", "tag"), _keep)
    _wrap(registry, "delete_model_version_tag", ("name", "version", "key"), _keep)


def _datasets(tracking: type[Any]) -> None:
    def dataset(_store: Any, person: Person, given: dict[str, Any]) -> None:
        given["tags"] = {**(given.get("tags") or {}), USER: person.name}

    def records(_store: Any, person: Person, given: dict[str, Any]) -> None:
        given["records"] = [
            {**record, "tags": {**(record.get("tags") or {}), USER: person.name}} for record in given["records"]
        ]

    def issue(_store: Any, person: Person, given: dict[str, Any]) -> None:
        given["created_by"] = person.name

    _wrap(tracking, "create_dataset", ("name", "tags", "experiment_ids"), dataset)
    _wrap(tracking, "upsert_dataset_records", ("dataset_id", "records"), records)
    _wrap(tracking, "set_dataset_tags", ("dataset_id", "tags"), _keep)
    _wrap(tracking, "delete_dataset_tag", ("dataset_id", "key"), _keep)
    _wrap(tracking, "create_issue", ("experiment_id", "name", "description"), issue)


def _traces(tracking: type[Any]) -> None:
    """A trace belongs to whom it came from first; what others send later does not make it theirs."""

    def trace(store: Any, person: Person, given: dict[str, Any]) -> None:
        info = given["trace_info"]
        known = _known_traces(store, [info.trace_id])
        _stay_in_place(person, known, info.experiment_id)
        info.trace_metadata[USER] = known.get(info.trace_id, ("", None))[1] or person.name
        for assessment in info.assessments or []:
            _by(person, assessment)

    def old_trace(_store: Any, person: Person, given: dict[str, Any]) -> None:
        given["request_metadata"] = {**(given.get("request_metadata") or {}), USER: person.name}

    def old_end(_store: Any, _person: Person, given: dict[str, Any]) -> None:
        metadata = given.get("request_metadata") or {}
        given["request_metadata"] = {key: value for key, value in metadata.items() if key != USER}

    def comment(_store: Any, person: Person, given: dict[str, Any]) -> None:
        _by(person, given["assessment"])

    def changed_comment(store: Any, person: Person, given: dict[str, Any]) -> None:
        source = store.get_assessment(given["trace_id"], given["assessment_id"]).source
        if source is not None and source.source_type == HUMAN and source.source_id != person.name:
            _refuse(person, f"This comes from {source.source_id!r}; add your own instead.")

    def spans(store: Any, person: Person, given: dict[str, Any]) -> None:
        ids = sorted({span.trace_id for span in given["spans"]})
        known = _known_traces(store, ids)
        _stay_in_place(person, known, given["location"])

    def spans_are_there(store: Any, person: Person, given: dict[str, Any]) -> None:
        _sign_traces(store, person, sorted({span.trace_id for span in given["spans"]}))

    _wrap(tracking, "start_trace", ("trace_info",), trace)
    _wrap(tracking, "log_spans", ("location", "spans"), spans, spans_are_there)
    _wrap(tracking, "deprecated_start_trace_v2", ("experiment_id", "timestamp_ms", "request_metadata"), old_trace)
    _wrap(tracking, "deprecated_end_trace_v2", ("request_id", "timestamp_ms", "status", "request_metadata"), old_end)
    _wrap(tracking, "create_assessment", ("assessment",), comment)
    _wrap(tracking, "update_assessment", ("trace_id", "assessment_id"), changed_comment)


def _by(person: Person, assessment: Any) -> None:
    source = assessment.source
    if source is not None and source.source_type == HUMAN:
        source.source_id = person.name


def _known_traces(store: Any, ids: Sequence[str]) -> dict[str, tuple[str, str | None]]:
    """The experiment and the author of each trace that exists."""
    from mlflow.store.tracking.dbmodels.models import SqlTraceInfo, SqlTraceMetadata
    from sqlalchemy import and_

    author = and_(SqlTraceMetadata.request_id == SqlTraceInfo.request_id, SqlTraceMetadata.key == USER)
    with store.ManagedSessionMaker(read_only=True) as session:
        found = session.query(SqlTraceInfo.request_id, SqlTraceInfo.experiment_id, SqlTraceMetadata.value)
        rows = found.outerjoin(SqlTraceMetadata, author).filter(SqlTraceInfo.request_id.in_(ids)).all()
    return {trace: (str(experiment), name) for trace, experiment, name in rows}


def _stay_in_place(person: Person, known: Mapping[str, tuple[str, str | None]], experiment: object) -> None:
    """MLflow checks the right to the experiment that a client names, and finds a trace by its id alone."""
    for trace, (home, _) in known.items():
        if home != str(experiment):
            _refuse(person, f"The trace {trace} belongs to another experiment.")


def _sign_traces(store: Any, person: Person, ids: Sequence[str]) -> None:
    """Give an author to traces that spans alone have created."""
    from mlflow.store.tracking.dbmodels.models import SqlTraceMetadata
    from sqlalchemy.dialects.postgresql import insert

    rows = [
        {"request_id": trace, "key": USER, "value": person.name}
        for trace, (_, author) in sorted(_known_traces(store, ids).items())
        if author is None
    ]
    if rows:
        with store.ManagedSessionMaker(read_only=False) as session:
            session.execute(insert(SqlTraceMetadata).values(rows).on_conflict_do_nothing())


def signed(tags: list[Any] | None, tag: Any) -> list[Any]:
    """Return the tags with the author's, and no other author."""
    return [*(each for each in tags or [] if each.key != USER), tag]


def _keep(_store: Any, person: Person, given: dict[str, Any]) -> None:
    """Nobody but an administrator gives something another author."""
    tags = given.get("tags") or []
    keys = [*tags] if isinstance(tags, dict) else [tag.key for tag in tags]
    keys += [given["tag"].key] if "tag" in given else []
    if USER in [*keys, given.get("key")]:
        _refuse(person, f"The tag {USER} says who created it; only an administrator can change it.")


def _refuse(person: Person, text: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

    if not person.is_admin:
        raise MlflowException(text, PERMISSION_DENIED)


def _wrap(
    store: type[Any], name: str, parameters: tuple[str, ...], change: Step, afterwards: Step | None = None
) -> None:
    """Change what a store's function is given, if a person's request calls it, and do what follows from the call."""
    call = getattr(store, name)

    @functools.wraps(call)
    def wrapped(self: Any, *arguments: Any, **more: Any) -> Any:
        person = current.get()
        if person is None:
            return call(self, *arguments, **more)
        given = {**dict(zip(parameters, arguments, strict=False)), **more}
        rest = arguments[len(parameters) :]
        change(self, person, given)
        kept = dict(given)
        ordered = [given.pop(parameter) for parameter in parameters] if rest else []
        done = call(self, *ordered, *rest, **given)
        if afterwards is not None:
            afterwards(self, person, kept)
        return done

    setattr(store, name, wrapped)
