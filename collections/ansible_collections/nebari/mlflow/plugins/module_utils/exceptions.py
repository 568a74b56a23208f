# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The errors of the release module.

ReleaseError            what happened, and what to do about it
├── ApiError            the Kubernetes API answered with an error status
└── Cancelled           SIGTERM or SIGINT, or the play that started the module is gone
"""

from __future__ import annotations

from typing import Any

from .visible import visible


class ReleaseError(Exception):
    """A deploy that cannot go on: `cause` names the object and the value, `fix` the next thing to do."""

    def __init__(self, cause: str, fix: str = "") -> None:
        self.cause = visible(cause)
        self.fix = visible(fix)
        super().__init__(f"{self.cause} {self.fix}".rstrip())


class Cancelled(ReleaseError):
    """Raised in the main thread by a signal, so that every `finally` runs."""


class ApiError(ReleaseError):
    """An error status of the Kubernetes API; `body` is its Status object, {} when it sent none."""

    def __init__(self, status: int, body: dict[str, Any], cause: str, fix: str = "") -> None:
        self.status = status
        self.reason = str(body.get("reason", ""))
        self.message = str(body.get("message", ""))
        self.causes: list[dict[str, Any]] = (body.get("details") or {}).get("causes") or []
        super().__init__(cause, fix)
