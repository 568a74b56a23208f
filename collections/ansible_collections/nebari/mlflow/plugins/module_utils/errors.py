# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The errors of every module. A class has the code of the page that is about it, so no wording decides that.

ReleaseError            what happened, and what to do about it
├── RefusedInput        an option or a value of the chart is not allowed
├── ClusterUnusable     the kubeconfig, the connection, the login or a right
│   └── ApiError        the Kubernetes API answered with an error status
├── Busy                another deploy of the release runs, or took it over
├── NeverReady          a workload has a cause that waiting does not cure
├── SmokeTestFailed     the release runs, but its smoke test failed
├── TimedOut            not ready within the given time
├── HelmUnusable        Helm is missing or not supported
├── KindMissing         the cluster does not serve a kind of object
├── ForeignObject       a release or an object that is not ours
├── DatabaseUnusable    the Secret or the certificate of a database outside is missing or wrong
├── LostSecret          a Secret is missing, and what it opens is there
├── JobFailed           a Job of day two, such as a backup or a restore, failed
│   └── UpgradeFailed   a Job of an upgrade of the database failed
└── Cancelled           SIGTERM or SIGINT, or the play that started the module is gone
"""

from __future__ import annotations

from typing import Any

from .visible import visible


class ReleaseError(Exception):
    """A deploy that cannot go on: `cause` names the object and the value, `fix` the next thing to do."""

    code = "NML401"

    def __init__(self, cause: str, fix: str = "") -> None:
        self.cause = visible(cause)
        self.fix = visible(fix)
        super().__init__(f"{self.cause} {self.fix}".rstrip())

    def report(self) -> dict[str, str]:
        """Return what every module's failure has."""
        return {"msg": str(self), "code": self.code, "cause": self.cause, "fix": self.fix}


class RefusedInput(ReleaseError):
    """An option of a module or a value of the chart is not allowed. Nothing was changed."""

    code = "NML402"


class ClusterUnusable(ReleaseError):
    """The kubeconfig is wrong, the API server does not answer, or it refuses this user."""

    code = "NML403"


class ApiError(ClusterUnusable):
    """An error status of the Kubernetes API; `body` is its Status object, {} when it sent none."""

    def __init__(self, status: int, body: dict[str, Any], cause: str, fix: str = "") -> None:
        self.status = status
        self.reason = str(body.get("reason", ""))
        self.message = str(body.get("message", ""))
        self.causes: list[dict[str, Any]] = (body.get("details") or {}).get("causes") or []
        super().__init__(cause, fix)


class Busy(ReleaseError):
    """Another deploy of this release is running, or took over from this one."""

    code = "NML404"


class NeverReady(ReleaseError):
    """A workload that will not become ready; `code` tells images, volumes and room apart."""

    def __init__(self, cause: str, fix: str, code: str) -> None:
        super().__init__(cause, fix)
        self.code = code


class SmokeTestFailed(ReleaseError):
    """The release runs, but the chart's tests failed."""

    code = "NML408"


class TimedOut(ReleaseError):
    """Something was not ready within the given time."""

    code = "NML409"


class HelmUnusable(ReleaseError):
    """Helm is missing, cannot be run, or has a version that is not supported."""

    code = "NML410"


class KindMissing(ReleaseError):
    """The cluster does not serve a kind of object that the chart creates."""

    code = "NML411"


class ForeignObject(ReleaseError):
    """A release, a Secret or a volume that another chart or another person made."""

    code = "NML412"


class LostSecret(ReleaseError):
    """A Secret is missing while the data that it opens exist."""

    code = "NML413"


class DatabaseUnusable(ReleaseError):
    """A database outside cannot be used; the Job that migrates it reports the same code."""

    code = "NML414"


class JobFailed(ReleaseError):
    """A backup, a restore, a drill or a clean-up failed in the cluster; the cause is that of its pod."""

    code = "NML431"


class UpgradeFailed(JobFailed):
    """The Job that examines, migrates or brings back the database for another version failed."""

    code = "NML432"


class Cancelled(ReleaseError):
    """Raised in the main thread by a signal, so that every `finally` runs."""
