"""Move everything: look first, then write what is missing, read it back and compare.

Each step starts from what is there, so a run that is killed is finished by the next one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO, Any

from artifacts import copy
from nebari_mlflow_backup.artifacts import File, Files
from nebari_mlflow_backup.report import Progress, RefusedError, size

from nebari_mlflow_move import locations, records
from nebari_mlflow_move.source import Artifacts, Source
from nebari_mlflow_move.target import Target

TOGETHER = 4  # runs at the same time
SHARED = ("Default", "nebari-mlflow-verify")
"""Experiments that every deployment has: what the source has in them is added to them."""

SHOWN = 10


@dataclass
class Found:
    """What the source has, and what of it cannot be moved."""

    version: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    others: dict[str, int] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        said = {"version": self.version, "counts": dict(self.counts), "not_taken": self.others}
        return {**said, "unread": self.unread[:SHOWN]}


class Below:
    """The new store below a path."""

    def __init__(self, files: Files, path: str) -> None:
        self._files, self._path = files, path

    def list(self) -> Iterator[File]:
        raise NotImplementedError

    def open(self, path: str) -> IO[bytes]:
        return self._files.open(f"{self._path}/{path}")

    def write(self, path: str, content: IO[bytes]) -> None:
        self._files.write(f"{self._path}/{path}", content)


class Move:
    """One move from a source into the deployment."""

    def __init__(self, source: Source, target: Target, progress: Progress) -> None:
        self.source, self.target, self.progress = source, target, progress
        self.moved = locations.Moved()
        self.compared = records.Comparison()
        self.elsewhere: Counter[str] = Counter()
        self.unread = list(source.unread)
        self.written: Counter[str] = Counter()
        self.files = {"files": 0, "bytes": 0, "copied": 0}
        self._there: dict[str, int] = {}
        self._numbers: dict[str, str] = {}
        self._store: Files | None = None

    # Look

    def look(self) -> Found:
        """Count what there is, and find what stands in the way. Writes nothing."""
        found = Found(self.source.version(), others=self.source.others(), unread=list(self.source.unread))
        there = self.target.experiments()
        for each in self.source.experiments():
            found.counts["experiments"] += 1
            has = there.get(each.name)
            if has and each.name not in SHARED and has[1] != (each.creation_time or None):
                found.conflicts.append(f"experiment {each.name!r}")
            for kind, entries in (
                ("runs", self.source.runs(each.experiment_id)),
                ("logged models", self.source.models(each.experiment_id)),
                ("traces", self.source.traces(each.experiment_id)),
            ):
                for _ in entries:
                    found.counts[kind] += 1
                    so_far = ", ".join(f"{number} {name}" for name, number in found.counts.items())
                    self.progress.say("counting", so_far)
        for each in self.source.registered():
            found.counts["registered models"] += 1
            has = self.target.registered(each.name)
            if has is not None and has.creation_timestamp != each.creation_timestamp:
                found.conflicts.append(f"registered model {each.name!r}")
            found.counts["model versions"] += len(self.source.versions(each.name))
        return found

    @staticmethod
    def refuse(found: Found) -> None:
        """Refuse before anything is written."""
        if found.conflicts:
            raise RefusedError(
                f"This deployment has others with the same names: {', '.join(found.conflicts[:SHOWN])}"
                f"{' and more' if len(found.conflicts) > SHOWN else ''}. Nothing was changed.",
                "Rename them on one side, in MLflow's UI, and run the same command again.",
            )

    # Move

    def run(self, store: Files | None) -> dict[str, Any]:
        """Move; without a store, the artifacts stay behind. Return both sides."""
        self._store = store
        if store is not None:
            self.progress.say("listing the artifacts that are here")
            self._there = {file.path: file.bytes for file in store.list()}
        there = self.target.experiments()
        experiments = [(each, self._experiment(each, there)) for each in self.source.experiments()]
        self._numbers = {each.experiment_id: new for each, new in experiments}
        for work in (self._runs, self._models, self._traces):
            for each, new in experiments:
                work(each, new)
        for each in self.source.registered():
            self._registered(each)
        for each, new in experiments:
            if each.lifecycle_stage == "deleted" and each.name not in SHARED:
                self.target.delete_experiment(new, each)
            after = self.target.experiment(new)
            self.compared.add("experiments", each.name, records.of_experiment(each), records.of_experiment(after))
        return {
            "kinds": self.compared.report(),
            "different": [each[:150] for each in self.compared.different[:SHOWN]],
            "differences": len(self.compared.different) + len(self.unread),
            "unread": [each[:150] for each in self.unread[:SHOWN]],
            "elsewhere": dict(self.elsewhere.most_common(SHOWN)),
            "files": self.files,
            "written": dict(self.written),
            "seconds": round(self.progress.elapsed(), 1),
        }

    def _ensure(
        self,
        kind: str,
        name: str,
        before: records.Record,
        read: Callable[[], records.Record | None],
        write: Callable[[], None],
    ) -> None:
        """Write what is missing, and compare what is read back."""
        after = read()
        if records.differing(before, after):
            write()
            self.written[kind] += 1
            after = read()
        self.compared.add(kind, name, before, after)

    def _experiment(self, each: Any, there: dict[str, Any]) -> str:
        if each.name not in there:
            there[each.name] = (self.target.create_experiment(each), each.creation_time, each.lifecycle_stage)
        new = str(there[each.name][0])
        self.target.tag_experiment(new, each.tags)
        return new

    def _each(self, work: Callable[[Any], None], entries: Iterable[Any]) -> None:
        """Work on several at the same time, and hold few of them."""
        with ThreadPoolExecutor(TOGETHER) as pool:
            batch: list[Any] = []
            for each in entries:
                batch.append(each)
                if len(batch) == TOGETHER * 8:
                    list(pool.map(work, batch))
                    batch = []
            list(pool.map(work, batch))

    def _runs(self, experiment: Any, new: str) -> None:
        done = Counter[str]()

        def move(listed: Any) -> None:
            each = self.source.store.get_run(listed.info.run_id)
            name = each.info.run_id
            points = {key: self._points(name, key) for key in each.data.metrics}
            self._ensure(
                "runs",
                name,
                records.of_run(each, experiment.name, points),
                lambda: self._run_here(name, points),
                lambda: self.target.write_run(each, new, points),
            )
            place = locations.of_run(new, name)
            self.moved.add(each.info.artifact_uri or "", place)
            self._artifacts(f"run {name}", lambda: self.source.of_run(each), place)
            done["runs"] += 1
            self.progress.say("moving runs", f"{done['runs']} of experiment {experiment.name}")

        self._each(move, self.source.runs(experiment.experiment_id))

    def _points(self, run: str, key: str) -> set[bytes]:
        from nebari_mlflow_move.points import pack

        return pack(self.source.points(run, key))

    def _run_here(self, name: str, points: dict[str, set[bytes]]) -> records.Record | None:
        """Read a run as it is here, and of its points those that the source has."""
        run = self.target.run(name)
        if run is None:
            return None
        there = {key: found & points[key] for key, found in self.target.points(name, points).items() if found}
        experiment = self.target.experiment(run.info.experiment_id)
        return records.of_run(run, experiment.name, there)

    def _models(self, experiment: Any, new: str) -> None:
        def move(each: Any) -> None:
            def here() -> records.Record | None:
                there = self.target.model(each.model_id)
                return None if there is None else records.of_model(there, there.experiment_id)

            before = records.of_model(each, new)
            self._ensure("logged models", each.model_id, before, here, lambda: self.target.write_model(each, new))
            place = locations.of_model(new, each.model_id)
            self.moved.add(each.artifact_location or "", place)
            self._artifacts(f"logged model {each.model_id}", lambda: self.source.of_model(each), place)
            self.progress.say("moving logged models", each.name)

        self._each(move, self.source.models(experiment.experiment_id))

    def _traces(self, experiment: Any, new: str) -> None:
        def move(info: Any) -> None:
            try:
                spans = self.source.spans(info)
            except OSError as error:
                self.unread.append(f"spans of trace {info.trace_id}: {error}")
                spans = []

            def here() -> records.Record | None:
                there, has = self.target.trace(info.trace_id)
                return None if there is None else records.of_trace(there, has, there.experiment_id)

            before = records.of_trace(info, spans, new)
            self._ensure("traces", info.trace_id, before, here, lambda: self.target.write_trace(info, spans, new))
            self.progress.say("moving traces", experiment.name)

        self._each(move, self.source.traces(experiment.experiment_id))

    def _registered(self, each: Any) -> None:
        self.progress.say("moving registered models", each.name)
        each._tags = records.renumbered(records.tags_of(each), self._numbers)

        def here() -> records.Record | None:
            there = self.target.registered(each.name)
            return None if there is None else records.of_registered(there)

        before = records.of_registered(each)
        complete = not records.differing(before, here())
        if not complete:
            self.target.write_registered(each)
            self.written["registered models"] += 1
        for version in self.source.versions(each.name):
            self._version(version)
        if not complete:
            self.target.write_aliases(each)
        self.compared.add("registered models", each.name, before, here())

    def _version(self, each: Any) -> None:
        number = str(each.version)
        source = self._location(each.source or "")
        stored = self.source.registry.get_model_version_download_uri(each.name, number) or ""
        location = (self.moved.new(stored) or stored) or None

        def here() -> records.Record | None:
            there = self.target.version(each.name, number)
            return None if there is None else records.of_version(there, there.source)

        before = records.of_version(each, source)
        name = f"{each.name} {number}"
        self._ensure("model versions", name, before, here, lambda: self.target.write_version(each, source, location))

    def _location(self, old: str) -> str | None:
        """Return where a version's files are now. What leads elsewhere stays as it is, and is told."""
        new = self.moved.new(old)
        if new is None:
            self.elsewhere[locations.root(old)] += 1
        return (old if new is None else new) or None

    def _artifacts(self, whose: str, read: Callable[[], Artifacts], place: str) -> None:
        """Copy the files of one run or model, and compare each."""
        if self._store is None:
            return
        try:
            old, new = read(), Below(self._store, place)
            for file in old.list():
                there = {file.path: self._there[known]} if (known := f"{place}/{file.path}") in self._there else {}
                before, after, copied = copy(file, old, new, there)
                side = {"bytes": file.bytes}
                self.compared.add("files", known, {**side, "sha256": before}, {**side, "sha256": after})
                self.files["files"] += 1
                self.files["bytes"] += file.bytes
                self.files["copied"] += int(copied)
                self.progress.say("copying artifacts", f"{self.files['files']} files, {size(self.files['bytes'])}")
        except OSError as error:
            self.unread.append(f"artifacts of {whose}: {error}")
