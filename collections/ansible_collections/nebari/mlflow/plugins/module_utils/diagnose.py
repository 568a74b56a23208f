# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Say why a workload is not ready, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .exceptions import ReleaseError

if TYPE_CHECKING:
    from .manifest import Object
    from .session import Session


@dataclass(frozen=True)
class Problem:
    """One cause. `definite` ones will not go away by waiting."""

    brief: str
    cause: str
    fix: str
    definite: bool = False

    def error(self) -> ReleaseError:
        return ReleaseError(self.cause, self.fix)


class Diagnosis:
    def __init__(self, session: Session) -> None:
        self._session = session

    def look(self, workloads: list[Object]) -> list[Problem]:
        return []
