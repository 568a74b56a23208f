"""Filters that say what an adoption found, and how the two databases compare."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

DOCUMENTATION = """
name: adopted
author: nebari-mlflow maintainers
version_added: 0.1.0
short_description: Say what an old release of MLflow is and holds
description:
  - Returns lines for a person, from what M(nebari.mlflow.old_release) returns.
  - The same plugin file holds P(nebari.mlflow.adoption#filter).
options:
  _input:
    description: RV(nebari.mlflow.old_release#module:old).
    type: dict
    required: true
  held:
    description: The answer of the old database about its size and rows, or an empty text.
    type: str
    default: ""
  new:
    description: RV(nebari.mlflow.old_release#module:new).
    type: dict
    default: {}
"""

EXAMPLES = """
- name: Show what was found
  ansible.builtin.debug:
    msg: "{{ found.old | nebari.mlflow.adopted }}"
"""

RETURN = """
_value:
  description: The lines.
  type: list
  elements: str
"""

COUNTED = ("experiments", "runs", "metric points", "registered models", "model versions", "bytes", "PostgreSQL")
STAGES = {
    "found": "nothing has been taken over yet",
    "copied": "its database is copied and verified; its objects are still there",
    "moving": "its objects are gone; the copied database takes their place",
    "done": "adopted; what was kept of it is still there",
}
SHOWN = {
    "experiments": "experiments",
    "runs": "runs, deleted ones included",
    "metrics": "metric points",
    "params": "parameters",
    "tags": "tags of runs",
    "registered_models": "registered models",
    "model_versions": "model versions",
    "registered_model_aliases": "aliases",
}
ROW = 4  # words of a line about a table


def adopted(old: Mapping[str, Any], held: str = "", new: Mapping[str, Any] | None = None) -> list[str]:
    """Return what the old release is, what it holds and where."""
    if old["stage"] == "absent":
        return ["no release of another MLflow chart was found"]
    lines = [f"found: chart {old['chart']} (MLflow {old['app_version']}), {STAGES[old['stage']]}"]
    database = old["database"]
    if database:
        state = f"pod {database['pod']} is ready" if database["pod"] else "no pod of it is ready"
        lines.append(f"database: {database['database']} on PersistentVolumeClaim {database['claim']}, {state}")
    lines += [f"holds: {value} {name}" for name, value in counted(held).items()]
    lines += [f"volume: {claim['name']} {claim['size']}" for claim in old["claims"]]
    return [*lines, f"artifacts: {old['artifacts']['words']}", *future(new or {})]


def future(new: Mapping[str, Any]) -> list[str]:
    """Say what becomes of the artifacts; nothing once they are where they belong."""
    decided = new.get("artifacts")
    if not decided:
        return []
    if decided["way"] == "copy":
        return [f"artifacts: they are copied into {new['store']['uri']}, and compared"]
    if decided["way"] == "stay":
        return ["artifacts: they stay where they are, and the new release uses the same store"]
    return [f"artifacts: they would be left behind. {decided['why']}"]


def counted(held: str) -> dict[str, str]:
    """Return the old database's own figures by name; nothing if it did not answer."""
    values = held.strip().split("|")
    return dict(zip(COUNTED, values, strict=True)) if len(values) == len(COUNTED) else {}


def adoption(
    old: Mapping[str, Any],
    report: str,
    held: str = "",
    check: bool = False,
    artifacts: str = "",
    new: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the facts: what was found, each table and the artifacts on both sides, and what stays."""
    files = json.loads(artifacts) if artifacts else {}
    tables = compared(report)
    different = sorted(name for name, sides in tables.items() if sides.get("old") != sides.get("new"))
    return {
        "stage": old["stage"],
        "check": check,
        "chart": old["chart"],
        "app_version": old["app_version"],
        "artifacts": old["artifacts"]["words"],
        "artifacts_next": future(new or {}),
        "files": {side: files[side] for side in ("old", "new") if side in files},
        "moved": located(report, "moved"),
        "elsewhere": located(report, "elsewhere"),
        "claims": old["claims"],
        "holds": counted(held),
        "tables": tables,
        "different": different,
        "lines": [
            *(
                f"{SHOWN[name]}: {sides['old']['rows']} before, {sides['new']['rows']} after, "
                + ("checksums differ" if name in different else "same checksum")
                for name, sides in tables.items()
                if name in SHOWN and {"old", "new"} <= sides.keys()
            ),
            *_of_files(files),
            *(
                f"{each['rows']} x {each['column']}: {each['location']} is now in the new store"
                for each in located(report, "moved")
            ),
            *(
                f"{each['rows']} x {each['column']} lead to {each['location']}, which is neither store: to have the "
                "server open it, list it in tracking.artifactLocations"
                for each in located(report, "elsewhere")
            ),
        ],
    }


def _of_files(files: Mapping[str, Any]) -> list[str]:
    if not files.get("old") or not files.get("new"):
        return []
    old, new = files["old"], files["new"]
    before = f"artifacts: {old['files']} files and {old['bytes']} bytes before"
    same = "same checksum" if old == new else "they differ"
    return [f"{before}, {new['files']} and {new['bytes']} after, {same}"]


def located(report: str, kind: str) -> list[dict[str, Any]]:
    """Return the columns that name locations of a kind: how many rows, and where they lead or led."""
    found = [line.split(" ", 3) for line in report.splitlines() if line.startswith(f"{kind} ")]
    return [{"column": column, "rows": int(rows), "location": location} for _, column, rows, location in found]


def compared(report: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Return rows and checksum of each table, for the old and the new database."""
    tables: dict[str, dict[str, dict[str, Any]]] = {}
    for line in report.splitlines():
        words = line.split(" ")
        if len(words) == ROW and words[0] in ("old", "new"):
            tables.setdefault(words[1], {})[words[0]] = {"rows": int(words[2]), "checksum": words[3]}
    return tables


class FilterModule:
    """Ansible finds filters by this class."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"adopted": adopted, "adoption": adoption}
