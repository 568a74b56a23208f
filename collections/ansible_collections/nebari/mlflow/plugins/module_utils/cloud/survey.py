# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""A look at all objects of a role before its first write: whose they are, and which of its tasks have work to do."""

from __future__ import annotations

from typing import Any

from ..supervise.progress import Progress
from .ledger import Ledger


class Survey:
    """One plan for each object, all in check mode, so that a look can never write."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._parts: dict[str, Ledger] = {}

    def part(self, name: str) -> Ledger:
        """Return the plan for one object, to be given to what brings that object to its state."""
        return self._parts.setdefault(name, Ledger(check=True, progress=self._progress))

    def result(self) -> dict[str, Any]:
        """Return what the tasks would change, in their order, and which of them have something to do."""
        return {
            "due": [name for name, plan in self._parts.items() if plan.changes],
            "changed": False,
            "changes": [change.report() for plan in self._parts.values() for change in plan.changes],
        }
