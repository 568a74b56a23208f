"""Remove a folder when another process is gone, however it ended: `python janitor.py FOLDER`, with a pipe as stdin.

A `kill -9` leaves no time to remove the private folder of a run, which holds credentials. The kernel closes the
pipe's other end then. This file imports nothing of the package, so that it starts in a few milliseconds.
"""

from __future__ import annotations

import shutil
import sys


def main() -> None:
    """Wait for the end of the pipe, then remove the folder."""
    sys.stdin.buffer.read()
    shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    main()
