"""What can go wrong, with a code that has a page in docs/reference/errors.

MlflowError               anything below; `str()` is cause, then fix
├── InputError            the configuration, before anything is touched
├── UpstreamError         an earlier stage of Nebari did not give what this one needs
├── SetupError            this machine cannot run the play
├── UntrustedError        another user of this machine could have written a file
├── PlayError             a task of the play failed; `task` names it
├── Cancelled             Ctrl-C, SIGTERM or the deadline
└── ClusterError          the cluster did not answer a question
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

from ansible_collections.nebari.mlflow.plugins.module_utils.visible import visible


class MlflowError(Exception):
    """A failure that a person can act on: `cause` is one sentence, `fix` the next thing to do."""

    def __init__(self, code: str, cause: str, fix: str = "", *, task: str = "", log: str = "") -> None:
        self.code = code
        self.cause = visible(cause)
        self.fix = visible(fix)
        self.task = visible(task)
        self.log = log
        super().__init__(f"{code}: {self.cause} {self.fix}".rstrip())

    @property
    def page(self) -> str:
        """Return the path of the code's page: in a checkout, or where pip puts the wheel's data."""
        checkout = Path(__file__).parents[1] / "docs/reference/errors"
        installed = Path(sysconfig.get_path("data"), "share/doc/nebari-mlflow/reference/errors")
        return str((checkout if checkout.is_dir() else installed) / f"{self.code}.md")

    def report(self) -> dict[str, str]:
        """Return the fields that are set, as they stand in `--json` output."""
        fields = {"code": self.code, "task": self.task, "cause": self.cause, "fix": self.fix, "log": self.log}
        return {name: value for name, value in {**fields, "page": self.page}.items() if value}


class InputError(MlflowError):
    """NML1xx: a value that is missing or not allowed."""


class UpstreamError(MlflowError):
    """NML2xx: an output of an earlier stage is missing."""


class SetupError(MlflowError):
    """NML3xx: a program, a file or room is missing on this machine."""


class UntrustedError(MlflowError):
    """NML307: a file names programs to run, and another user could have written it."""


class PlayError(MlflowError):
    """NML4xx: a task failed."""


class Cancelled(MlflowError):
    """NML5xx: stopped before the end; the next run finishes the job."""

    def __init__(self, code: str, cause: str, fix: str = "", *, log: str = "", exit_code: int = 1) -> None:
        self.exit_code = exit_code
        super().__init__(code, cause, fix, log=log)


class ClusterError(MlflowError):
    """NML6xx: the Kubernetes API was not reached or refused."""
