"""One run of a playbook through ansible-runner, from a private folder in memory. Knows neither Nebari nor MLflow.

What ansible-runner does with secrets was measured: a dict of variables ends in a file or on the command line, the
whole environment ends in `artifacts/*/command`. Hence a file of 0600, an environment that is an allow-list and whose
copy is removed at once, and a folder that is removed. What its own timeout and cancel do was measured too: helm
survives. Hence shutdown.Deadline.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.nebari.mlflow.plugins.module_utils.visible import visible

from ..collection import SEARCH_PATH
from ..errors import Cancelled, MlflowError, PlayError, SetupError
from . import environment, failures, texts, workspace
from .logfile import Logfile
from .redact import Redactor
from .shutdown import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Event = dict[str, Any]
FACT = "mlflow"


@dataclass
class Result:
    """What a play returned. `outputs` is what it gave to set_stats, with its types."""

    outputs: dict[str, Any]
    changed: bool
    elapsed: float  # seconds
    log: str
    warnings: list[str] = field(default_factory=list)  # of its tasks, each once


@dataclass
class _Record:
    """What the events of one run add up to."""

    outputs: dict[str, Any] | None = None
    ended: bool = False
    changed: bool = False
    failure: tuple[str, str, dict[str, Any]] | None = None
    aftermath: str = ""  # what a play that rescued itself says of the state that it left
    errors: list[Exception] = field(default_factory=list)
    warnings: dict[str, None] = field(default_factory=dict)
    refusal: str = ""  # why ansible-playbook did not start

    def take(self, event: Event) -> None:
        data = event.get("event_data") or {}
        if str(event.get("stdout")).startswith(("ERROR", "[ERROR]")):
            self.refusal = self.refusal or str(event["stdout"]).partition("ERROR")[2].strip("]!: ").partition("\n")[0]
        kind = event.get("event")
        if kind in ("runner_on_failed", "runner_on_unreachable", "runner_item_on_failed") and not data.get(
            "ignore_errors"
        ):
            result = dict(data.get("res") or {})
            told = self.failure is not None and (self.failure[2].get("cause") or "results" in result)  # by its item
            if self.failure is not None and str(data.get("task_action", "")).rpartition(".")[2] == "fail":
                self.aftermath = str(result.get("msg", "")).strip()
            elif self.failure is None or (kind == "runner_on_failed" and not told):
                self.failure = (str(data.get("task", "")), str(data.get("role", "")), result)
        elif kind == "runner_on_ok":
            self.warnings |= dict.fromkeys(map(str, (data.get("res") or {}).get("warnings") or []))
        elif kind == "playbook_on_stats":
            self.ended = True
            self.outputs = (data.get("artifact_data") or {}).get(FACT)
            self.changed = any(data.get("changed", {}).values())


def run(
    playbook: str,
    variables: Mapping[str, Any],
    *,
    name: str,
    provider: str = "",
    check: bool = False,
    deadline: float | None = None,
    on_event: Callable[[Event], None] = lambda _event: None,
) -> Result:
    """Run a playbook of a collection and return its outputs.

    Args:
        playbook: Name of the playbook, `namespace.collection.playbook`.
        variables: Extra variables; they beat every other. Only a `texts.Template` is evaluated.
        name: Names the log file.
        provider: Cloud whose credentials the play may see.
        check: Change nothing (`--check --diff`).
        deadline: Seconds after which the run is ended.
        on_event: Called with each event of ansible-runner, its text free of secrets.

    Raises:
        PlayError: A task failed.
        Cancelled: SIGINT, SIGTERM or the deadline ended the run.
        SetupError: This machine cannot run a play.
    """
    began = time.monotonic()
    environ = environment.allowed(os.environ, provider)
    redact = Redactor.from_environment(environ)
    if shutil.which("ansible-playbook", path=environ["PATH"]) is None:
        raise SetupError(
            "NML303",
            "ansible-playbook was not found.",
            "Install it beside this package: pip install 'ansible>=12.3'.",
        )
    workspace.check_semaphores()
    log = Logfile(name, redact)
    record = _Record()

    def handle(event: Event) -> bool:
        try:
            event["stdout"] = visible(redact(str(event.get("stdout") or "")))
            log.write(event["stdout"])
            record.take(event)
            on_event(event)
        except Exception as error:
            record.errors.append(error)
        return False  # no file for the event

    try:
        with workspace.private_folder() as folder, Deadline(deadline) as watch:
            return_code = _play(folder, playbook, variables, environ, handle, check=check)
    except OSError as error:
        raise workspace.no_room(error, Path(error.filename or "the folder of the run")) from error
    finally:
        log.close()
    if watch.reason is not None:
        raise Cancelled(*watch.reason, log=log.path, exit_code=watch.exit_code)
    _raise_failure(record, return_code, redact, log.path)
    warnings = [visible(redact(text)) for text in record.warnings]
    return Result(record.outputs or {}, record.changed, time.monotonic() - began, log.path, warnings)


def _play(
    folder: Path,
    playbook: str,
    variables: Mapping[str, Any],
    environ: dict[str, str],
    handle: Callable[[Event], bool],
    *,
    check: bool,
) -> int:
    from ansible_runner.interface import init_runner

    (folder / "tmp").mkdir(mode=0o700)
    (folder / "ansible.cfg").touch(mode=0o600)
    secrets = folder / "variables.yml"
    with os.fdopen(os.open(secrets, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(texts.dump(variables))
    runner = init_runner(
        private_data_dir=str(folder),
        ident="run",
        playbook=playbook,
        inventory="localhost,",
        extravars=str(secrets),
        cmdline="--check --diff" if check else None,
        settings={"pexpect_timeout": 1, "suppress_output_file": True},
        suppress_env_files=True,
        quiet=True,
        event_handler=handle,
        status_handler=_forget_environment,
        cancel_callback=lambda: False,  # without one ansible-runner takes the signals, and kills helm
    )
    leash = [sys.executable, "-P", "-m", "nebari_mlflow.play.with_parent", str(os.getpid())]
    runner.config.command = [*leash, *runner.config.command]
    runner.config.env = _environment(runner.config.env, environ, folder)
    runner.run()
    return int(runner.rc or 0)


def _forget_environment(status: Mapping[str, Any], runner_config: Any) -> None:
    """Remove the copy of the environment that ansible-runner writes before it starts the play."""
    if status["status"] == "running":
        Path(runner_config.artifact_dir, "command").unlink(missing_ok=True)


def _environment(prepared: Mapping[str, str], environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Keep what ansible-runner itself added to a copy of our environment, above the allow-list."""
    added = {name: value for name, value in prepared.items() if os.environ.get(name) != value}
    added["ANSIBLE_CALLBACK_PLUGINS"] = prepared["ANSIBLE_CALLBACK_PLUGINS"].rpartition(":")[2]
    added.pop("ORIGINAL_STDOUT_CALLBACK", None)
    return {**environ, **added, **environment.for_ansible(folder, SEARCH_PATH)}


def _raise_failure(record: _Record, return_code: int, redact: Redactor, log: str) -> None:
    if record.failure is not None and return_code != 0:
        task, role, result = record.failure
        result = json.loads(redact(json.dumps(result, default=str)))
        raise failures.from_event(task, role, result, log, redact(record.aftermath))
    ours = next((error for error in record.errors if isinstance(error, MlflowError)), None)
    if ours is not None:
        raise ours
    if not record.ended or return_code != 0 or record.outputs is None:
        how = f"ended with {return_code}" if return_code else "ended"
        raise PlayError(
            "NML420",
            f"ansible-playbook did not run: {record.refusal}"
            if record.refusal and not record.ended
            else f"ansible-playbook {how} without a result.",
            "Read the end of the log, then run the same command again.",
            log=log,
        )
    if record.errors:
        raise record.errors[0]
