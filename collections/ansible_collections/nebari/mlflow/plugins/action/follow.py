# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Run a module of this collection and show its progress while it runs; meta/runtime.yml says which ones."""

from __future__ import annotations

import io
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.nebari.mlflow.plugins.module_utils.supervise.process import controller

PAUSE = 0.2  # seconds

# Ansible imports this file in its main process before the task starts, and that process prints what tasks display.
# It never flushes, so without this a pipe or a file (CI, `| tee`) would get the lines only when the play ends.
if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(line_buffering=True)


class ActionModule(ActionBase):  # type: ignore[misc]
    """The module works without this: only its lines are not seen."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module and show its progress. A module of a play that was killed stops."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        wrap_async = bool(self._task.async_val)
        if self._connection.transport != "local" or wrap_async:
            found = self._execute_module(module_args=arguments, task_vars=task_vars, wrap_async=wrap_async)
            return {**result, **found}
        with tempfile.TemporaryDirectory(prefix="nebari-mlflow-") as folder:
            path = Path(folder) / "progress"
            path.touch()
            hidden = {"_progress": str(path), "_controller": str(controller())}  # when it is killed, the module stops
            with Follower(path):
                found = self._execute_module(module_args={**arguments, **hidden}, task_vars=task_vars)
        found.get("invocation", {}).get("module_args", {}).pop("_progress", None)
        found.get("invocation", {}).get("module_args", {}).pop("_controller", None)
        return {**result, **found}


class Follower:
    """Show the lines that are added to a file, inside `with`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="progress", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        display = Display()
        with self._path.open(encoding="utf-8") as stream:
            line = ""
            while True:
                ended = self._ended.is_set()
                while part := stream.readline():
                    line += part
                    if line.endswith("\n"):
                        display.display(line.rstrip("\n"))
                        line = ""
                if ended:
                    return
                self._ended.wait(PAUSE)
