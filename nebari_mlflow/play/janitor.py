"""Remove a folder when another process is gone, however it ended: `python janitor.py FOLDER`, with a pipe as stdin.

A `kill -9` leaves no time to remove the private folder of a run, which holds credentials. The kernel closes the
pipe's other end then. This file imports nothing of the package, so that it starts in a few milliseconds.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

PATIENCE = 300  # times 0.2 s, while the programs of the killed run come to their end and still write


def main() -> None:
    """Wait for the end of the pipe, then remove the folder."""
    sys.stdin.buffer.read()
    folder = Path(sys.argv[1])
    for _ in range(PATIENCE):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.2)


if __name__ == "__main__":
    main()
