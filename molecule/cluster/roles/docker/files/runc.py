"""Runs runc on a machine that withholds CAP_SYS_RESOURCE, for which runc would refuse every privileged container.

Docker calls it as a runtime: `create --bundle FOLDER` (FOLDER/config.json holds the process) and `exec --process FILE`
(FILE is the process). The capability, and the lower OOM score that needs it, are taken out before runc reads them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

CAPABILITY = "CAP_SYS_RESOURCE"


def option(arguments: list[str], *names: str) -> str | None:
    """Return the value of a command-line option, given as `--name value` or `--name=value`."""
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in names:
            return value if equals else arguments[place + 1]
    return None


def lessen(process: dict[str, Any]) -> None:
    """Take out of a process what the machine does not give."""
    for capabilities in (process.get("capabilities") or {}).values():
        if CAPABILITY in capabilities:
            capabilities.remove(CAPABILITY)
    process.pop("oomScoreAdj", None)


def prepare(arguments: list[str]) -> None:
    """Rewrite the file that runc is about to read, if this call has one."""
    bundle = option(arguments, "--bundle", "-b")
    file = Path(bundle) / "config.json" if bundle else Path(option(arguments, "--process", "-p") or "")
    if file.is_file():
        content = json.loads(file.read_text())
        lessen(content["process"] if bundle else content)
        file.write_text(json.dumps(content))


def main() -> None:
    """Become runc."""
    prepare(sys.argv[1:])
    os.execvp("runc", ["runc", *sys.argv[1:]])  # noqa: S606


if __name__ == "__main__":
    main()
