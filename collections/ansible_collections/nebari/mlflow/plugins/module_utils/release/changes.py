# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""One thing that a deploy does, as it is reported, planned or done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..kube.merge import FIELDS_SHOWN
from .manifest import clean, masked

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..kube.objects import Object
    from .record import Record


@dataclass(frozen=True)
class Change:
    """An object that is created, updated, deleted, recovered or verified; `before` and `after` are for the diff."""

    action: str
    kind: str
    name: str
    namespace: str = ""
    fields: tuple[str, ...] = ()
    before: Object = field(default_factory=dict)
    after: Object = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """Return it as an entry of the modules' `changes`, with the first fields only."""
        entry: dict[str, Any] = {
            "action": self.action,
            "kind": self.kind,
            "name": self.name,
            "namespace": self.namespace,
        }
        if self.fields:
            entry["fields"] = [*self.fields[:FIELDS_SHOWN]]
        return entry


@dataclass(frozen=True)
class Step:
    """Something to do before Helm, with the changes that it makes; nothing may fail half-way that could be foreseen."""

    do: Callable[[], object]
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What a run did, or in check mode would do; `record` is Helm's newest revision, None when there is none."""

    changes: list[Change] = field(default_factory=list)
    record: Record | None = None
    chart: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    kept: list[dict[str, str]] = field(default_factory=list)
    parts: dict[str, Any] = field(default_factory=dict)
    ready: bool = False
    verified: bool = False
    missing_secrets: list[str] = field(default_factory=list)
    upgrade: dict[str, Any] = field(default_factory=dict)


def diff(changes: list[Change]) -> dict[str, Any]:
    """Ansible's `{before, after}`: the changed objects by kind and name, Secret values hidden."""
    before, after = {}, {}
    for change in changes:
        where = f"{change.kind}/{change.name}"
        if change.before:
            before[where] = masked(clean(change.before))
        if change.after:
            after[where] = masked(clean(change.after))
    return {"before": before, "after": after}
