# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Why a workload is not ready: one cause, its fix, and for how long it may still turn out to be a blip."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace

from ..errors import NeverReady, ReleaseError

AGAIN = "then run it again"
IMAGE, VOLUME, ROOM = "NML405", "NML406", "NML407"  # codes of the pages about them
TOLD = re.compile(r"ERROR: (?P<cause>.*?)(?: Fix: (?P<fix>.*))?$")
# What a controller or Helm says before the API server's own words.
PREFIXES = re.compile(r"^.*?is forbidden: |^Error creating: |^create Pod .*? failed error: |^.*?\n\s*\* ", re.S)
LIMIT = re.compile(r"(maximum|minimum) \S+ usage per (Container|Pod)|max limit to request ratio per")
DENIED = re.compile(r"ValidatingAdmissionPolicy .* denied request|admission webhook .* denied the request")
PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]+(@)")


@dataclass(frozen=True)
class Problem:
    """`grace` is the seconds after which the cause is taken for lasting; None means that waiting may always help.

    `brief` is for a progress line, `cause` for an error; `log_of` names the container whose last lines explain it.
    """

    where: str
    kind: str  # the same cause keeps its kind while its words change
    brief: str
    cause: str = ""
    fix: str = ""
    grace: float | None = None
    pod: str = ""
    log_of: str = ""
    code: str = ReleaseError.code
    stuck: bool = False  # in a back-off that outlasts its cause: only a new pod tries at once

    def error(self) -> NeverReady:
        """Return the exception that ends the wait, with the problem's code."""
        return NeverReady(self.cause or f"{self.where}: {self.brief}.", self.fix, self.code)

    def with_log(self, lines: str) -> Problem:
        """Add the last lines of a log, less the password of any URI in them.

        If the last one is an error that our scripts wrote, it is the cause, and says what to do.
        """
        told = TOLD.match(lines.splitlines()[-1]) if lines else None
        if told:
            fix = told["fix"].rstrip(".;") + f"; {AGAIN}." if told["fix"] else self.fix
            return replace(self, cause=f"{self.where}: " + PASSWORD.sub(r"\1***\2", told["cause"]), fix=fix)
        return replace(self, cause=f"{self.cause} Its last lines:\n" + PASSWORD.sub(r"\1***\2", lines) + "\n")


class Patience:
    """Remembers for how long each cause has been there: only a lasting one ends a wait early."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], float] = {}

    def note(self, problems: list[Problem]) -> None:
        """Take these for all there are now; one that went away and comes back starts again."""
        now = time.monotonic()
        keys = [(problem.where, problem.kind) for problem in problems]
        self._seen = {key: self._seen.get(key, now) for key in keys}

    def is_lasting(self, problem: Problem) -> bool:
        """Say if the problem was seen for longer than its grace, in seconds."""
        since = self._seen.get((problem.where, problem.kind))
        return since is not None and problem.grace is not None and time.monotonic() - since >= problem.grace


def creation(owner: str, message: str) -> Problem:
    """Read why a controller could not create a pod; `message` is from its condition or its event."""
    text = PREFIXES.sub("", message).strip().rstrip(".")
    if LIMIT.search(message):
        return Problem(
            owner,
            "creation",
            "refused by a LimitRange",
            f"{owner} cannot create its pod: {text}.",
            f"Set the `resources` of that container in the values within the LimitRange (kubectl describe limitrange); "
            f"{AGAIN}.",
            grace=5,
            code=ROOM,
        )
    if DENIED.search(message):
        return Problem(
            owner,
            "creation",
            "refused by an admission rule",
            f"{owner} cannot create its pod: {text}.",
            f"Give what that rule of the cluster asks for in the values (`security`, `podLabels`, `podAnnotations`, "
            f"`resources`), or ask whoever owns the rule for an exception; {AGAIN}.",
            grace=5,
            code=ROOM,
        )
    if "failed calling webhook" in message:
        return Problem(
            owner,
            "creation",
            "an admission webhook does not answer",
            f"{owner} cannot create its pod: {text}.",
            f"Look at the pods of that webhook's Service (kubectl get pods -A); {AGAIN}.",
            grace=55,
            code=ROOM,
        )
    if "exceeded quota" in message or "failed quota" in message:
        return Problem(
            owner,
            "creation",
            "quota exceeded",
            f"{owner} cannot create its pod: {text}.",
            f"Raise that ResourceQuota, or lower `resources` in the values; {AGAIN}.",
            grace=20,
            code=ROOM,
        )
    if "violates PodSecurity" in message:
        return Problem(
            owner,
            "creation",
            "refused by Pod Security",
            f"{owner} cannot create its pod: {text}.",
            f"Correct the securityContext in the values, or the namespace's pod-security labels; {AGAIN}.",
            grace=5,
            code=ROOM,
        )
    if "serviceaccount" in message.lower():
        return Problem(
            owner,
            "creation",
            "service account missing",
            f"{owner} cannot create its pod: {text}.",
            f"Create that ServiceAccount, or correct its name in the values; {AGAIN}.",
            grace=15,
            code=ROOM,
        )
    cause = f"{owner} cannot create its pod: {text}."
    return Problem(owner, "creation", "pod not created", cause, f"Remove that cause; {AGAIN}.", grace=30, code=ROOM)


def job_failed(owner: str, message: str, pod: str, container: str, code: str) -> Problem:
    """Return the problem of a Job that failed; `message` is what its container said last."""
    return Problem(
        owner,
        "job",
        "failed",
        f"{owner} failed: {message.rstrip('.') or 'no message'}.",
        "Fix that cause and run it again; it replaces the Job.",
        grace=0,
        code=code or ReleaseError.code,
        pod=pod,
        log_of=container,
    )
