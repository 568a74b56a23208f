"""Turn the result of a failed task into an error with a code, a cause and a fix."""

from __future__ import annotations

import re
from typing import Any

from .errors import PlayError

PATTERNS: tuple[tuple[str, str], ...] = (
    ("NML412", r"(from|belongs to) another chart|^Secret/.* belongs to the Helm release|nothing tells whose data"),
    ("NML413", r"^Secret/.* which it opens, exists"),
    ("NML411", r"no matches for kind|does not serve"),
    ("NML402", r"Validation of arguments failed|is not a known (variable|value)|refuses the values"),
    ("NML410", r"^helm: "),
    ("NML404", r"^Another deploy|^The Lease "),
    ("NML405", r"cannot pull image"),
    ("NML406", r"^PersistentVolumeClaim/\S+ cannot be bound"),
    ("NML407", r"cannot create its pod|fits on no node"),
    ("NML408", r"using it failed"),
    ("NML409", r"^Not ready after"),
    (
        "NML403",
        r"kubeconfig|does not answer|refuses connections|cannot be resolved|^The connection to|does not verify"
        r"|does not speak TLS|^User .* may not|^The Kubernetes API refused|Unauthorized",
    ),
)

FIXES = {
    "NML411": "Install what provides that kind, or leave the part out: `access: {ui: false}` needs no Traefik.",
}
AGAIN = "Repair the cause and run the same command again: it goes on where it stopped."


def classify(text: str) -> str:
    """Return the code of the page that is about this; NML401 is the one about any failed task."""
    return next((code for code, pattern in PATTERNS if re.search(pattern, text)), "NML401")


def from_event(task: str, role: str, result: dict[str, Any], log: str) -> PlayError:
    """Build the error. Our own module says cause and fix; others say a message, whose first paragraph is the cause."""
    if "censored" in result:
        cause, fix = "The task failed, and its output is hidden because it holds secrets.", ""
    else:
        cause = str(result.get("cause") or first_paragraph(result))
        fix = str(result.get("fix") or "")
    code = "NML402" if task.startswith(("Check", "Look for", "Validating")) else classify(cause)
    shown = f"{role} : {task}" if role and not task.startswith(role) else task
    return PlayError(code, cause, fix or FIXES.get(code, AGAIN), task=shown, log=log)


def first_paragraph(result: dict[str, Any]) -> str:
    """Return what a module says about its failure, without traceback and blank lines."""
    for key in ("msg", "stderr", "module_stderr", "exception", "stdout"):
        text = str(result.get(key) or "").strip()
        if text and text != "MODULE FAILURE":
            lines = text.splitlines()
            chosen = lines[-1] if lines[0].startswith("Traceback") else text.split("\n\n")[0]
            return re.sub(r"\s*\n\s*", " ", chosen).strip()[:2000]
    return "The task failed without a message."
