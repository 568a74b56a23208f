"""Delete for good what was deleted in MLflow long ago, with its artifacts, as `mlflow gc` does.

What a registered model still refers to stays, however long ago its run was deleted: MLflow itself does not look.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from mlflow_schema import SERVICE, Database, hand_over, service_file

from nebari_mlflow_backup import orphans
from nebari_mlflow_backup.report import Progress, size
from nebari_mlflow_backup.store import StoreError

DAY = 86_400_000  # milliseconds
TOGETHER = 50  # runs that are deleted between two lines of progress

RUNS = """
SELECT r.run_uuid,
       EXISTS (SELECT FROM model_versions v WHERE v.run_id = r.run_uuid AND v.current_stage <> 'Deleted_Internal')
FROM runs r WHERE r.lifecycle_stage = 'deleted' AND coalesce(r.deleted_time, 0) < %s ORDER BY r.run_uuid
"""
EXPERIMENTS = """
SELECT e.experiment_id::text,
       EXISTS (SELECT FROM model_versions v JOIN runs r ON v.run_id = r.run_uuid
               WHERE r.experiment_id = e.experiment_id AND v.current_stage <> 'Deleted_Internal')
FROM experiments e WHERE e.lifecycle_stage = 'deleted' AND coalesce(e.last_update_time, 0) < %s ORDER BY 1
"""
MODELS = """
SELECT m.model_id, EXISTS (SELECT FROM model_versions v WHERE v.source = 'models:/' || m.model_id)
FROM logged_models m
WHERE m.lifecycle_stage = 'deleted' AND coalesce(m.last_updated_timestamp_ms, 0) < %s ORDER BY 1
"""
SIZE = "SELECT pg_database_size(current_database())"
INDEX = """
SELECT pg_relation_size(i.indexrelid), greatest(c.reltuples, 0) * (12 + (
    SELECT sum(avg_width) FROM pg_stats
    WHERE schemaname = n.nspname AND tablename = c.relname
    AND attname IN ('key', 'value', 'timestamp', 'run_uuid', 'step', 'is_nan'))) / 0.7
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indrelid = 'metrics'::regclass AND i.indisprimary
"""
"""Size of the index that holds every column of the metrics, and what its rows need with 30 % left free."""

BLOATED = 64 * 1024 * 1024


@dataclass
class Found:
    """What may go, and what stays because a registered model refers to it."""

    runs: list[str] = field(default_factory=list)
    experiments: list[str] = field(default_factory=list)
    logged_models: list[str] = field(default_factory=list)
    referenced: int = 0

    def counts(self) -> dict[str, int]:
        return {name: value if isinstance(value, int) else len(value) for name, value in asdict(self).items()}


def look(database: Database, days: int) -> Found:
    """Find what was deleted more than `days` ago, by the database's clock."""
    ((now,),) = database.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
    found = Found()
    for statement, ids in ((RUNS, found.runs), (EXPERIMENTS, found.experiments), (MODELS, found.logged_models)):
        for identity, referenced in database.query(statement, int(now) - days * DAY):
            if referenced:
                found.referenced += 1
            else:
                ids.append(str(identity))
    return found


def sizes(database: Database) -> dict[str, Any]:
    """Return the database's size, and the cure if the index of the metrics is twice as large as they need."""
    ((whole,),) = database.query(SIZE)
    report: dict[str, Any] = {"database_bytes": int(whole)}
    for index, needed in database.query(INDEX):
        if needed and index > BLOATED and index > 2 * needed:
            report["bloat"] = (
                f"the index of metrics has {size(int(index))}, its rows need {size(int(needed))}: "
                "REINDEX TABLE CONCURRENTLY metrics cures it, while MLflow runs"
            )
    return report


def collect(
    database: Database,
    progress: Progress,
    days: int,
    *,
    delete: bool,
    store: Callable[[], orphans.Listed] | None = None,
) -> dict[str, Any]:
    """Say what would go; with `delete`, remove it. What is cut off goes on with the next run."""
    found = look(database, days)
    result = {**found.counts(), "days": days, "deleted": delete, **sizes(database)}
    if delete and (found.runs or found.experiments or found.logged_models):
        _delete(database, found, progress)
    if not delete and store is not None:
        try:
            result |= orphans.find(database, store(), progress).report()
        except StoreError as error:
            result["orphans_unknown"] = str(error)
    return result


def _delete(database: Database, found: Found, progress: Progress) -> None:
    """Let MLflow delete: the artifacts first, through the server, then the rows."""
    progress.say("starting MLflow")
    cli: Any = importlib.import_module("mlflow.cli")
    tracking: Any = importlib.import_module("mlflow.tracking")
    hand_over(database.parameters, service_file())
    os.environ["PGSERVICEFILE"] = str(service_file())
    os.environ.pop("PGPASSWORD", None)
    store = tracking._get_store(SERVICE)
    tracking.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])

    def gone(runs: list[str], experiments: list[str], models: list[str]) -> None:
        cli._gc_tracking_resources(
            store, runs, experiments, models, None, 0,
            skip_experiments=not experiments, skip_logged_models=not models, ignore_not_found=True,
        )  # fmt: skip

    for start in range(0, len(found.runs), TOGETHER):
        progress.say("deleting runs", f"{start} of {len(found.runs)}")
        gone(found.runs[start : start + TOGETHER], [], [])
    for start in range(0, len(found.logged_models), TOGETHER):
        progress.say("deleting logged models", f"{start} of {len(found.logged_models)}")
        gone([], [], found.logged_models[start : start + TOGETHER])
    for identity in found.experiments:
        progress.say("deleting experiments", identity)
        gone([], [identity], [])
