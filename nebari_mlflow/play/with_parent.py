"""Start a program that ends with its parent.

    python -P -m nebari_mlflow.play.with_parent PARENT-PID PROGRAM ARGUMENT...

A `kill -9` of Nebari leaves no time to end the play. The kernel then sends SIGTERM to ansible-playbook, which
passes it on to module and helm, so that the release's Lease is given back and the next run need not wait.
`-P` keeps Python from importing what lies in the current folder.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask the kernel, then become the program. Other systems than Linux have no such signal."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != int(parent):
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
