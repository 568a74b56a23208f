"""Find artifacts of runs, models and traces that the database does not know, for a person to look at.

The store is listed first: MLflow writes a row before its first artifact, so what is created meanwhile is never taken
for an orphan.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Protocol

from mlflow_schema import Database

from nebari_mlflow_backup.report import Progress

SHOWN = 20
TOGETHER = 1000  # names that one statement looks up
RUN = re.compile(r"[0-9a-f]{32}")
EXPERIMENT = re.compile(r"[0-9]+")
KINDS = {
    "runs": "SELECT run_uuid FROM runs WHERE run_uuid = ANY(%s)",
    "logged_models": "SELECT model_id FROM logged_models WHERE model_id = ANY(%s)",
    "traces": "SELECT request_id FROM trace_info WHERE request_id = ANY(%s)",
}
FOLDERS = {"models": "logged_models", "traces": "traces"}
"""Folders of an experiment beside those of its runs, and whose artifacts are in them."""


class Listed(Protocol):
    """A store of artifacts, as far as it is needed here."""

    def list(self, path: str = "") -> dict[str, int | None]: ...


@dataclass
class Orphans:
    """Paths below the store's root, by kind."""

    paths: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    def report(self) -> dict[str, Any]:
        every = sorted(path for paths in self.paths.values() for path in paths)
        counts = {kind: len(paths) for kind, paths in self.paths.items()}
        return {"orphans": counts, "orphan_paths": every[:SHOWN]}


def find(database: Database, store: Listed, progress: Progress) -> Orphans:
    """Compare the store's folders with the tables."""
    there: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    for experiment in [name for name, size in store.list().items() if size is None and EXPERIMENT.fullmatch(name)]:
        progress.say("listing artifacts", f"experiment {experiment}")
        for name, size in store.list(experiment).items():
            if size is None and RUN.fullmatch(name):
                there["runs"][name] = f"{experiment}/{name}"
            elif size is None and name in FOLDERS:
                for each in store.list(f"{experiment}/{name}"):
                    there[FOLDERS[name]][each] = f"{experiment}/{name}/{each}"
    found = Orphans()
    for kind, paths in there.items():
        known = _known(database, KINDS[kind], list(paths))
        found.paths[kind] = [path for name, path in paths.items() if name not in known]
    return found


def _known(database: Database, statement: str, names: list[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(names), TOGETHER):
        found |= {str(name) for (name,) in database.query(statement, names[start : start + TOGETHER])}
    return found
