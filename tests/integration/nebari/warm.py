"""A process that has imported Nebari once and forks for each command: the import takes longer than most commands.

Reads one JSON object a line: {argv, cwd, env, output}. Answers with the exit code.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def run(request: dict[str, Any]) -> int:
    """Become `nebari ARGV...`, and return its exit code."""
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    stream = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for descriptor in (1, 2):
        os.dup2(stream, descriptor)
    sys.argv = ["nebari", *request["argv"]]
    from nebari.__main__ import main

    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def serve() -> None:
    import _nebari.cli
    import _nebari.stages.infrastructure
    import _nebari.stages.kubernetes_services  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(run(json.loads(line)))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
