# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Stop in good order: on SIGTERM, on SIGINT, and when the play that started the module is gone."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from ..errors import Cancelled

if TYPE_CHECKING:
    from types import FrameType

    from .process import Process

LOOK_EVERY = 1.0  # seconds


def install(controller: Process | None) -> None:
    """Turn the first signal into `Cancelled` in the main thread; later ones must not disturb the tidying up."""

    def cancel(number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        raise Cancelled(f"Stopped by {signal.Signals(number).name}.", "Run it again; it resumes where it stopped.")

    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, cancel)
    if controller is not None and controller.start:  # it is empty where there is no /proc
        threading.Thread(target=_watch, args=(controller,), name="controller", daemon=True).start()


def _watch(controller: Process) -> None:
    """Ansible runs a module in a session of its own, so killing the play does not reach it."""
    ended = threading.Event()
    while controller.alive():
        ended.wait(LOOK_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)
