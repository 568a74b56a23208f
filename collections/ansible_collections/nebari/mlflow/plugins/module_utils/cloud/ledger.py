# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a run does in a cloud, or in check mode would do: each change is recorded before it is made, on one path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..supervise.progress import Progress

Settings = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """One object that is created, updated or deleted; `before` and `after` hold only what this project manages."""

    action: str
    kind: str
    name: str
    fields: tuple[str, ...] = ()
    before: Settings = field(default_factory=dict)
    after: Settings = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """Return it as an entry of the modules' `changes`: action, kind, name and, if any, fields."""
        entry: dict[str, Any] = {"action": self.action, "kind": self.kind, "name": self.name}
        if self.fields:
            entry["fields"] = [*self.fields]
        return entry


@dataclass
class Ledger:
    """Makes changes, or with `check` only records them."""

    check: bool
    progress: Progress
    changes: list[Entry] = field(default_factory=list)
    kept: list[dict[str, str]] = field(default_factory=list)

    def create(self, kind: str, name: str, after: Settings, call: Callable[[], Any]) -> None:
        """Record a creation, and make it by `call` unless this is a check."""
        self._make(Entry("create", kind, name, (), {}, after), call)

    def delete(self, kind: str, name: str, call: Callable[[], Any]) -> None:
        """Record a deletion, and make it by `call` unless this is a check."""
        self._make(Entry("delete", kind, name, (), {"state": "present"}, {}), call)

    def update(
        self, kind: str, name: str, before: Settings, after: Settings, call: Callable[[tuple[str, ...]], Any]
    ) -> None:
        """Call `call` with the fields that differ, if any does; fields that `after` does not name are others'."""
        fields = tuple(key for key in after if before.get(key) != after[key])
        if fields:
            was, becomes = ({key: settings.get(key) for key in fields} for settings in (before, after))
            self._make(Entry("update", kind, name, fields, was, becomes), lambda: call(fields))

    def keep(self, kind: str, name: str, reason: str = "") -> None:
        """Report what stays; `reason` says why, if it stays although its deletion was asked for."""
        self.kept.append({"kind": kind, "name": name, **({"reason": reason} if reason else {})})

    def _make(self, change: Entry, call: Callable[[], Any]) -> None:
        self.changes.append(change)
        if not self.check:
            self.progress.say(f"{change.action} {change.kind} {change.name}", ", ".join(change.fields))
            call()

    def result(self) -> dict[str, Any]:
        """Return what the module returns: changed, changes, kept and diff."""
        before = {f"{each.kind}/{each.name}": each.before for each in self.changes if each.before}
        after = {f"{each.kind}/{each.name}": each.after for each in self.changes if each.after}
        return {
            "changed": bool(self.changes),
            "changes": [change.report() for change in self.changes],
            "kept": self.kept,
            "diff": {"before": before, "after": after},
        }
