"""Where it goes: the deployment's database, by MLflow's own tables.

REST would give new ids, new times and another author, and would refuse to write to what is deleted. Rows are only
added; what is there and differs stays, and is told.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from mlflow.entities import TraceLocation
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.dbmodels.models import (
    SqlModelVersion,
    SqlModelVersionTag,
    SqlRegisteredModel,
    SqlRegisteredModelAlias,
    SqlRegisteredModelTag,
)
from mlflow.store.tracking.dbmodels.models import (
    SqlAssessments,
    SqlDataset,
    SqlExperiment,
    SqlExperimentTag,
    SqlInput,
    SqlInputTag,
    SqlLatestMetric,
    SqlLoggedModel,
    SqlLoggedModelMetric,
    SqlLoggedModelParam,
    SqlLoggedModelTag,
    SqlMetric,
    SqlParam,
    SqlRun,
    SqlTag,
    SqlTraceInfo,
)
from sqlalchemy import insert, select, text

from nebari_mlflow_move import locations, points, records

TOGETHER = 5000  # rows of one statement
LARGEST_ID = 2**31 - 1
UNFINISHED = ("RUNNING", "SCHEDULED")
MISSING = "RESOURCE_DOES_NOT_EXIST"
NUMBERS = """
SELECT setval(name, greatest((SELECT max(experiment_id) FROM experiments), pg_sequence_last_value(name::regclass)))
FROM pg_get_serial_sequence('experiments', 'experiment_id') AS name
"""
"""The experiment that is created next gets a number that is free."""


class Target:
    """The deployment's own stores."""

    def __init__(self, store: Any, registry: Any) -> None:
        self.store, self.registry = store, registry
        self._datasets = threading.Lock()

    def session(self) -> Any:
        return self.store.ManagedSessionMaker(read_only=False)

    # Experiments

    def experiments(self) -> dict[str, Any]:
        with self.session() as session:
            return {
                each.name: (str(each.experiment_id), each.creation_time, each.lifecycle_stage)
                for each in session.scalars(select(SqlExperiment))
            }

    def create_experiment(self, each: Any) -> str:
        """Create it with its own number if that is free. It is active until all it holds is there."""
        with self.session() as session:
            wanted = int(each.experiment_id) if each.experiment_id.isdigit() else 0
            free = 0 < wanted <= LARGEST_ID and session.get(SqlExperiment, wanted) is None
            row = SqlExperiment(
                name=each.name,
                lifecycle_stage="active",
                creation_time=each.creation_time or None,
                last_update_time=each.last_update_time or None,
                **({"experiment_id": wanted} if free else {}),
            )
            session.add(row)
            session.flush()
            row.artifact_location = f"{locations.ROOT}{row.experiment_id}"
            if free and session.get_bind().dialect.name == "postgresql":
                session.execute(text(NUMBERS))
            return str(row.experiment_id)

    def tag_experiment(self, experiment: str, tags: Mapping[str, str]) -> None:
        with self.session() as session:
            there = set(session.scalars(select(SqlExperimentTag.key).filter_by(experiment_id=int(experiment))))
            session.add_all(
                SqlExperimentTag(key=key, value=value, experiment_id=int(experiment))
                for key, value in tags.items()
                if key not in there
            )

    def delete_experiment(self, experiment: str, each: Any) -> None:
        """Mark it as deleted, as the source's is, now that all it holds is there."""
        with self.session() as session:
            row = session.get(SqlExperiment, int(experiment))
            row.lifecycle_stage = "deleted"
            row.last_update_time = each.last_update_time or None

    def experiment(self, experiment: str) -> Any:
        return self.store.get_experiment(experiment)

    # Runs

    def run(self, run: str) -> Any:
        return none_if_missing(lambda: self.store.get_run(run))

    def points(self, run: str, keys: Iterable[str]) -> dict[str, set[bytes]]:
        return {key: points.pack(self.store.get_metric_history(run, key)) for key in keys}

    def write_run(self, each: Any, experiment: str, wanted: Mapping[str, set[bytes]]) -> None:
        """Add what is missing, in one transaction: a run that is there is whole."""
        run = each.info.run_id
        there = self.points(run, wanted) if self.run(run) is not None else {}
        datasets = self._ensure_datasets(records.inputs(each, "dataset_inputs"), experiment)
        with self.session() as session:
            row = session.get(SqlRun, run)
            if row is None:
                row = SqlRun(
                    run_uuid=run,
                    source_name="",
                    entry_point_name="",
                    source_version="",
                    user_id=each.info.user_id or None,
                    start_time=each.info.start_time,
                    lifecycle_stage=each.info.lifecycle_stage,
                    # When it was deleted, no server says; a clean-up counts from today.
                    deleted_time=int(time.time() * 1000) if each.info.lifecycle_stage == "deleted" else None,
                    artifact_uri=f"{locations.ROOT}{locations.of_run(experiment, run)}",
                    experiment_id=int(experiment),
                    name=each.info.run_name or None,
                    status=each.info.status,
                    end_time=each.info.end_time or None,
                )
                session.add(row)
                session.flush()
            elif row.status in UNFINISHED:
                row.status, row.end_time = each.info.status, each.info.end_time or None
            self._add(session, SqlParam, {"run_uuid": run}, each.data.params)
            self._add(session, SqlTag, {"run_uuid": run}, each.data.tags)
            for key, values in wanted.items():
                self._add_points(session, run, key, values, values - there.get(key, set()))
            self._add_links(session, each, datasets)

    @staticmethod
    def _add(session: Any, table: Any, whose: Mapping[str, Any], values: Mapping[str, str]) -> None:
        there = set(session.scalars(select(table.key).filter_by(**whose)))
        rows = [{**whose, "key": key, "value": value} for key, value in values.items() if key not in there]
        if rows:
            session.execute(insert(table), rows)

    @staticmethod
    def _add_points(session: Any, run: str, key: str, every: set[bytes], missing: set[bytes]) -> None:
        if not missing:
            return
        rest = list(missing)
        for start in range(0, len(rest), TOGETHER):
            rows = [
                {"run_uuid": run, "key": key, **points.unpack(each)._asdict()}
                for each in rest[start : start + TOGETHER]
            ]
            session.execute(insert(SqlMetric), rows)
        last = points.latest(every)
        row = session.get(SqlLatestMetric, (key, run))
        if row is None:
            session.add(SqlLatestMetric(run_uuid=run, key=key, **last._asdict()))
        elif (last.step, last.timestamp, last.value) > (row.step, row.timestamp, row.value):
            row.step, row.timestamp, row.value, row.is_nan = last

    def _ensure_datasets(self, given: list[Any], experiment: str) -> dict[tuple[str, str], str]:
        """Return the id of each dataset. Runs share them."""
        found = {}
        with self._datasets, self.session() as session:
            for each in (one.dataset for one in given):
                row = session.get(SqlDataset, (int(experiment), each.name, each.digest))
                if row is None:
                    row = SqlDataset(
                        dataset_uuid=uuid.uuid4().hex,
                        experiment_id=int(experiment),
                        name=each.name,
                        digest=each.digest,
                        dataset_source_type=each.source_type,
                        dataset_source=each.source,
                        dataset_schema=each.schema or None,
                        dataset_profile=each.profile or None,
                    )
                    session.add(row)
                    session.flush()
                found[each.name, each.digest] = str(row.dataset_uuid)
        return found

    @staticmethod
    def _add_links(session: Any, each: Any, datasets: Mapping[tuple[str, str], str]) -> None:
        """Link datasets and models to the run, as MLflow's own tables do it."""
        run = each.info.run_id

        def link(kind: str, source: str, other: str, destination: str, step: int = 0) -> str:
            whose = {"source_type": kind, "source_id": source, "destination_type": other, "destination_id": destination}
            row = session.scalars(select(SqlInput).filter_by(**whose)).first()
            if row is None:
                row = SqlInput(input_uuid=uuid.uuid4().hex, step=step, **whose)
                session.add(row)
                session.flush()
            return str(row.input_uuid)

        for given in records.inputs(each, "dataset_inputs"):
            known = link("DATASET", datasets[given.dataset.name, given.dataset.digest], "RUN", run)
            there = set(session.scalars(select(SqlInputTag.name).filter_by(input_uuid=known)))
            session.add_all(
                SqlInputTag(input_uuid=known, name=tag.key, value=tag.value)
                for tag in given.tags or []
                if tag.key not in there
            )
        for given in records.inputs(each, "model_inputs"):
            link("RUN_INPUT", run, "MODEL_INPUT", given.model_id)
        for given in records.outputs(each):
            link("RUN_OUTPUT", run, "MODEL_OUTPUT", given.model_id, given.step or 0)

    # Logged models

    def model(self, model: str) -> Any:
        return none_if_missing(lambda: self.store.get_logged_model(model))

    def write_model(self, each: Any, experiment: str) -> None:
        whose = {"model_id": each.model_id, "experiment_id": int(experiment)}
        with self.session() as session:
            if session.get(SqlLoggedModel, each.model_id) is None:
                session.add(
                    SqlLoggedModel(
                        **whose,
                        name=each.name,
                        artifact_location=f"{locations.ROOT}{locations.of_model(experiment, each.model_id)}",
                        creation_timestamp_ms=each.creation_timestamp,
                        last_updated_timestamp_ms=each.last_updated_timestamp,
                        status=each.status.to_int(),
                        lifecycle_stage="active",
                        model_type=each.model_type or None,
                        source_run_id=each.source_run_id or None,
                        status_message=each.status_message or None,
                    )
                )
                session.flush()
            tags = set(session.scalars(select(SqlLoggedModelTag.tag_key).filter_by(**whose)))
            session.add_all(
                SqlLoggedModelTag(**whose, tag_key=key, tag_value=value)
                for key, value in (each.tags or {}).items()
                if key not in tags
            )
            params = set(session.scalars(select(SqlLoggedModelParam.param_key).filter_by(**whose)))
            session.add_all(
                SqlLoggedModelParam(**whose, param_key=key, param_value=value)
                for key, value in (each.params or {}).items()
                if key not in params
            )
            for metric in each.metrics or []:
                self._add_model_metric(session, metric, whose)

    @staticmethod
    def _add_model_metric(session: Any, metric: Any, whose: Mapping[str, Any]) -> None:
        key = {
            "model_id": whose["model_id"],
            "metric_name": metric.key,
            "metric_timestamp_ms": metric.timestamp,
            "metric_step": metric.step,
            "run_id": metric.run_id,
        }
        if session.scalars(select(SqlLoggedModelMetric).filter_by(**key)).first() is not None:
            return
        dataset = {"name": metric.dataset_name or "", "digest": metric.dataset_digest or ""}
        known = session.get(SqlDataset, (whose["experiment_id"], dataset["name"], dataset["digest"]))
        session.add(
            SqlLoggedModelMetric(
                **key,
                experiment_id=whose["experiment_id"],
                metric_value=metric.value,
                dataset_uuid=known.dataset_uuid if known is not None else None,
                dataset_name=metric.dataset_name or None,
                dataset_digest=metric.dataset_digest or None,
            )
        )

    # Traces

    def trace(self, trace: str) -> tuple[Any, list[Any]]:
        info = none_if_missing(lambda: self.store.get_trace_info(trace))
        if info is None:
            return None, []
        try:
            return info, list(self.store.get_trace(trace, allow_partial=True).data.spans)
        except MlflowException:
            return info, []  # cut off between the trace and its spans

    def write_trace(self, info: Any, spans: list[Any], experiment: str) -> None:
        """Let MLflow write it: it keeps figures of its own about tokens and costs."""
        there, has = self.trace(info.trace_id)
        if there is None:
            info.trace_location = TraceLocation.from_experiment_id(experiment)
            info.tags = {key: value for key, value in info.tags.items() if key not in records.MADE_HERE}
            self.store.start_trace(info)
        known = {each.span_id for each in has}
        missing = [each for each in spans if each.span_id not in known]
        if missing:
            self.store.log_spans(experiment, missing)
        with self.session() as session:
            row = session.get(SqlTraceInfo, info.trace_id)  # MLflow takes times from the spans
            row.timestamp_ms, row.execution_time_ms = info.request_time, info.execution_duration
            row.status = info.state.value
            given_up = [each.assessment_id for each in info.assessments or [] if each.valid is False]
            for old in session.scalars(select(SqlAssessments).where(SqlAssessments.assessment_id.in_(given_up))):
                old.valid = False

    # Registered models

    def registered(self, name: str) -> Any:
        return none_if_missing(lambda: self.registry.get_registered_model(name))

    def version(self, name: str, version: str) -> Any:
        return none_if_missing(lambda: self.registry.get_model_version(name, version))

    def write_registered(self, each: Any) -> None:
        with self.session() as session:
            row = session.scalars(select(SqlRegisteredModel).filter_by(name=each.name)).first()
            if row is None:
                session.add(
                    SqlRegisteredModel(
                        name=each.name,
                        creation_time=each.creation_timestamp,
                        last_updated_time=each.last_updated_timestamp,
                        description=each.description,
                    )
                )
                session.flush()
            self._add(session, SqlRegisteredModelTag, {"name": each.name}, records.tags_of(each))

    def write_version(self, each: Any, source: str | None, location: str | None) -> None:
        whose = {"name": each.name, "version": int(each.version)}
        with self.session() as session:
            if session.scalars(select(SqlModelVersion).filter_by(**whose)).first() is None:
                session.add(
                    SqlModelVersion(
                        **whose,
                        creation_time=each.creation_timestamp,
                        last_updated_time=each.last_updated_timestamp,
                        description=each.description,
                        user_id=each.user_id or None,
                        current_stage=each.current_stage or "None",
                        source=source,
                        storage_location=location,
                        run_id=each.run_id or None,
                        run_link=each.run_link or None,
                        status=each.status,
                        status_message=each.status_message or None,
                    )
                )
                session.flush()
            self._add(session, SqlModelVersionTag, whose, each.tags or {})

    def write_aliases(self, each: Any) -> None:
        with self.session() as session:
            there = set(session.scalars(select(SqlRegisteredModelAlias.alias).filter_by(name=each.name)))
            session.add_all(
                SqlRegisteredModelAlias(name=each.name, alias=alias, version=int(version))
                for alias, version in (each.aliases or {}).items()
                if alias not in there
            )


def none_if_missing(read: Any) -> Any:
    try:
        return read()
    except MlflowException as error:
        if error.error_code == MISSING:
            return None
        raise
