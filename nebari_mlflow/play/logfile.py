"""The full log of a run: redacted, readable by its owner only, the last ten kept."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from .redact import Redactor

KEPT = 10
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
LOG = logging.getLogger("nebari_mlflow")


def folder() -> Path:
    """Return the folder of the logs, which is outside of every project."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "nebari-mlflow" / "log"


class Logfile:
    """Write lines; where no file can be made or the disk is full, go on without one."""

    def __init__(self, name: str, redact: Redactor) -> None:
        self._redact = redact
        self._stream: TextIO | None = None
        self.path = ""
        where = folder()
        try:
            where.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = where / f"{name}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.log"
            self._stream = os.fdopen(os.open(path, FLAGS, 0o600), "w", encoding="utf-8")
        except OSError as error:
            LOG.warning("No log is kept: %s cannot be written (%s).", where, error.strerror)
        else:
            self.path = str(path)
            self._forget_old(where, name)

    def write(self, text: str) -> None:
        """Append text as whole lines."""
        if self._stream is not None and text:
            try:
                self._stream.write(self._redact(text).rstrip("\n") + "\n")
                self._stream.flush()
            except OSError:
                self._stream = None

    def close(self) -> None:
        """Close the file; writing after that does nothing."""
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                stream.close()
            except OSError as error:
                LOG.warning("The log %s is not complete: %s.", self.path, error.strerror)

    @staticmethod
    def _forget_old(where: Path, name: str) -> None:
        for old in sorted(where.glob(f"{name}-*.log"), key=lambda path: path.name)[:-KEPT]:
            old.unlink(missing_ok=True)
