"""What is compared: each entity as a dictionary of values, read in one way from both sides.

A field that is a dictionary may have more keys here than the source has: what was added since the move stays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nebari_mlflow_move.points import digest

Record = dict[str, Any]

MADE_HERE = {"mlflow.artifactLocation", "mlflow.trace.spansLocation", "mlflow.trace.archiveLocation"}
"""Tags of traces that say where a server keeps their spans."""

FINALIZED = "mlflow.trace.infoFinalized"
OF_PROMPTS = "_mlflow_experiment_ids"
"""Tag of a prompt: the numbers of its experiments, with a comma before and after each."""

JSON_METADATA = ("mlflow.trace.tokenUsage", "mlflow.trace.cost")  # kept in columns, so their spelling may differ


def of_experiment(each: Any) -> Record:
    return {"name": each.name, "lifecycle": each.lifecycle_stage, "tags": dict(each.tags)}


def of_run(each: Any, experiment: str, points: Mapping[str, set[bytes]]) -> Record:
    info, data = each.info, each.data
    return {
        "experiment": experiment,
        "name": info.run_name or None,
        "user": info.user_id or None,
        "status": info.status,
        "start": info.start_time,
        "end": info.end_time or None,
        "lifecycle": info.lifecycle_stage,
        "params": dict(data.params),
        "tags": dict(data.tags),
        "metrics": {key: digest(values) for key, values in points.items()},
        "datasets": {f"{i.dataset.name}\0{i.dataset.digest}": of_dataset(i) for i in inputs(each, "dataset_inputs")},
        "model_inputs": {i.model_id: True for i in inputs(each, "model_inputs")},
        "model_outputs": {o.model_id: o.step for o in outputs(each)},
    }


def inputs(run: Any, kind: str) -> list[Any]:
    return list(getattr(getattr(run, "inputs", None), kind, None) or [])


def outputs(run: Any) -> list[Any]:
    return list(getattr(getattr(run, "outputs", None), "model_outputs", None) or [])


def of_dataset(given: Any) -> str:
    each = given.dataset
    about = [each.source_type, each.source, each.schema or None, each.profile or None]
    return json.dumps([*about, sorted((tag.key, tag.value) for tag in given.tags or [])])


def of_model(each: Any, experiment: str) -> Record:
    return {
        "experiment": experiment,
        "name": each.name,
        "created": each.creation_timestamp,
        "updated": each.last_updated_timestamp,
        "status": str(each.status),
        "message": each.status_message or None,
        "type": each.model_type or None,
        "run": each.source_run_id or None,
        "tags": dict(each.tags or {}),
        "params": dict(each.params or {}),
        "metrics": {
            json.dumps([m.run_id, m.key, m.timestamp, m.step]): json.dumps(
                [repr(m.value), m.dataset_name or None, m.dataset_digest or None]
            )
            for m in each.metrics or []
        },
    }


def of_trace(info: Any, spans: Iterable[Any], experiment: str) -> Record:
    metadata = {key: value for key, value in info.trace_metadata.items() if key != FINALIZED}
    for key in JSON_METADATA:
        if key in metadata:
            metadata[key] = json.dumps(json.loads(metadata[key]), sort_keys=True)
    return {
        "experiment": experiment,
        "time": info.request_time,
        "duration": info.execution_duration or None,
        "state": str(info.state),
        "client": info.client_request_id or None,
        "request": info.request_preview or None,
        "response": info.response_preview or None,
        "tags": {key: value for key, value in info.tags.items() if key not in MADE_HERE},
        "metadata": metadata,
        "assessments": {each.assessment_id: of_assessment(each) for each in info.assessments or []},
        "spans": {each.span_id: of_span(each) for each in spans},
    }


def of_assessment(each: Any) -> str:
    return json.dumps(
        {key: value for key, value in each.to_dictionary().items() if value not in (None, "", {})}, sort_keys=True
    )


def of_span(each: Any) -> str:
    """A store may add attributes of its own, so what a person sees is compared."""
    about = [each.name, each.parent_id, each.span_type, each.start_time_ns, each.end_time_ns]
    events = [[event.name, event.timestamp] for event in each.events]
    return json.dumps([*about, str(each.status.status_code), each.inputs, each.outputs, events], default=str)


def tags_of(registered: Any) -> dict[str, str]:
    """Return all tags of a registered model; its property `tags` hides the one that makes it a prompt."""
    return dict(getattr(registered, "_tags", None) or {})


def of_registered(each: Any) -> Record:
    return {
        "created": each.creation_timestamp,
        "description": each.description or None,
        "tags": tags_of(each),
        "aliases": {name: str(version) for name, version in (each.aliases or {}).items()},
    }


def of_version(each: Any, source: str | None) -> Record:
    return {
        "created": each.creation_timestamp,
        "updated": each.last_updated_timestamp,
        "description": each.description or None,
        "user": each.user_id or None,
        "stage": each.current_stage or None,
        "source": source or None,
        "run": each.run_id or None,
        "link": each.run_link or None,
        "status": each.status,
        "message": each.status_message or None,
        "tags": dict(each.tags or {}),
    }


def shared(before: Record, after: Record | None) -> Record:
    """Return what `after` says of the keys that `before` has."""
    found: Record = {}
    for name, value in before.items():
        there = (after or {}).get(name)
        if isinstance(value, dict):
            found[name] = {key: there[key] for key in value if key in there} if isinstance(there, dict) else {}
        else:
            found[name] = there
    return found


def differing(before: Record, after: Record | None) -> list[str]:
    """Name the fields whose values are missing or others."""
    seen = shared(before, after)
    return [name for name, value in before.items() if seen[name] != value]


def renumbered(tags: Mapping[str, str], numbers: Mapping[str, str]) -> dict[str, str]:
    """Return a prompt's tags with the numbers that its experiments have here."""
    if OF_PROMPTS not in tags:
        return dict(tags)
    return {**tags, OF_PROMPTS: ",".join(numbers.get(each, each) for each in tags[OF_PROMPTS].split(","))}


@dataclass
class Side:
    """How many entities of a kind one side has, and a checksum over them, in whatever order they were read."""

    count: int = 0
    total: int = 0

    def add(self, name: str, record: Record | None) -> None:
        if record is None:
            return
        text = json.dumps([name, record], sort_keys=True, default=str)
        self.count += 1
        self.total = (self.total + int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")) % 2**64

    def report(self) -> dict[str, Any]:
        return {"count": self.count, "checksum": f"{self.total:016x}"}


@dataclass
class Kind:
    """One kind of entities on both sides."""

    old: Side = field(default_factory=Side)
    new: Side = field(default_factory=Side)


class Comparison:
    """Both sides, and what differs after the move."""

    def __init__(self) -> None:
        self.kinds: dict[str, Kind] = {}
        self.different: list[str] = []

    def add(self, kind: str, name: str, before: Record, after: Record | None) -> None:
        sides = self.kinds.setdefault(kind, Kind())
        sides.old.add(name, before)
        sides.new.add(name, None if after is None else shared(before, after))
        if fields := differing(before, after):
            self.different.append(f"{kind} {name}: {', '.join(fields) if after is not None else 'missing'}")

    def report(self) -> dict[str, dict[str, dict[str, Any]]]:
        return {name: {"old": kind.old.report(), "new": kind.new.report()} for name, kind in self.kinds.items()}
