"""Turn the result of a failed task into an error with a code, a cause and a fix."""

from __future__ import annotations

import re
from typing import Any

from ..errors import PlayError

AGAIN = "Fix the cause and run the same command again; it resumes where it stopped."
OTHER, REFUSED = "NML401", "NML402"


def code_of(result: dict[str, Any]) -> str:
    """Return the code that our module gave. Ansible's own checks of arguments and `assert` refuse an input."""
    for each in (result, *result.get("results", [])):
        if each.get("code"):
            return str(each["code"])
        if each.get("failed", True) and each.keys() & {"argument_errors", "assertion"}:
            return REFUSED
    return OTHER


def from_event(task: str, role: str, result: dict[str, Any], log: str, aftermath: str = "") -> PlayError:
    """Build the error. Our own module says cause and fix; others say a message, whose first paragraph is the cause.

    `aftermath` is what the play said after it had dealt with the failure.
    """
    if "censored" in result:
        cause, fix = "The task failed, and its output is hidden because it holds secrets.", ""
    else:
        cause = str(result.get("cause") or first_paragraph(result))
        fix = str(result.get("fix") or "")
    code = code_of(result)
    cause = f"{cause} {aftermath}".strip()
    shown = f"{role} : {task}" if role and not task.startswith(role) else task
    return PlayError(code, cause, fix or AGAIN, task=shown, log=log)


def first_paragraph(result: dict[str, Any]) -> str:
    """Return what a module says about its failure, without traceback and blank lines."""
    for key in ("msg", "stderr", "module_stderr", "exception", "stdout"):
        text = str(result.get(key) or "").strip()
        if text and text != "MODULE FAILURE":
            lines = text.splitlines()
            chosen = lines[-1] if lines[0].startswith("Traceback") else text.split("\n\n")[0]
            return re.sub(r"\s*\n\s*", " ", chosen).strip()[:2000]
    return "The task failed without a message."
