"""`python3 -m nebari_mlflow_move [--look]`: what the Job of an adoption from elsewhere runs."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow_schema
from nebari_mlflow_backup import tables
from nebari_mlflow_backup.artifacts import of_store
from nebari_mlflow_backup.report import Progress, RefusedError, end

GIVEN = Path("/mlflow/source")
"""The Secret with the source's credentials, as files."""

UPLOADED = Path("/mlflow/upload")
SCRATCH = Path("/mlflow/upload/scratch.db")
PATIENCE = 3600.0  # seconds for an upload
NAMES = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
SETTLING = 60.0  # seconds in which the last files may come
DEFINITE = 78


def take_credentials(folder: Path, environment: MutableMapping[str, str]) -> None:
    """Forget the deployment's own login, and take the source's. Nothing of it is in the Job."""
    for name in [*NAMES, "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_SERVER_CERT_PATH"]:
        environment.pop(name, None)
    for name in NAMES:
        if (folder / name).is_file():
            environment[name] = (folder / name).read_text(encoding="utf-8").rstrip("\r\n")
    if (folder / "ca.crt").is_file():
        environment["MLFLOW_TRACKING_SERVER_CERT_PATH"] = str(folder / "ca.crt")


def wait_for_upload(folder: Path, progress: Progress) -> Path:
    """Wait until every file has come: what the last one says of all is held against what is there."""
    files, said = folder / "files", folder / "complete"
    last = 0.0
    while not said.exists() or not is_whole(files, json.loads(said.read_text(encoding="utf-8"))):
        last = last or (progress.elapsed() if said.exists() else 0.0)
        if progress.elapsed() > PATIENCE or (last and progress.elapsed() - last > SETTLING):
            raise RefusedError("The directory was not uploaded whole.", "Run the same command again.")
        progress.say("waiting for the directory")
        time.sleep(0.5)
    return files


def is_whole(folder: Path, said: dict[str, Any]) -> bool:
    sizes = [each.stat().st_size for each in folder.rglob("*") if each.is_file()]
    return (len(sizes), sum(sizes)) == (said["files"], said["bytes"])


def work(look: bool, with_artifacts: bool) -> dict[str, Any]:
    progress = Progress()
    take_credentials(GIVEN, os.environ)
    database = mlflow_schema.connect(mlflow_schema.Clock(float(os.environ.get("CONNECT_SECONDS", "120"))))
    mlflow_schema.use_service(database.parameters)
    uploaded = None if os.environ.get("SOURCE_URL") else wait_for_upload(UPLOADED, progress)
    progress.say("starting MLflow")
    from mlflow.tracking._model_registry.utils import _get_store as registry_at
    from mlflow.tracking._tracking_service.utils import _get_store as store_at

    from nebari_mlflow_move import locations, source
    from nebari_mlflow_move.move import Move
    from nebari_mlflow_move.target import Target

    if uploaded is None:
        server = source.Server(os.environ["SOURCE_URL"])
        server.check()
        found: source.Source = server
    else:
        progress.say("reading the directory")
        found = source.of_directory(uploaded, SCRATCH)
    target = Target(store_at(mlflow_schema.SERVICE, locations.ROOT), registry_at(mlflow_schema.SERVICE))
    move = Move(found, target, progress)
    there = move.look()
    print(f"found: {there.report()}", flush=True)
    Move.refuse(there)
    if look:
        return there.report()
    with tables.locked(database, progress, shared=True):
        store = of_store(os.environ["ARTIFACTS_DESTINATION"]) if with_artifacts else None
        return {**there.report(), **move.run(store), "without_artifacts": not with_artifacts}


def main(arguments: list[str]) -> int:
    """Run; 78 is a failure that another try would not cure."""
    parser = argparse.ArgumentParser(prog="nebari_mlflow_move")
    parser.add_argument("--look", action="store_true")
    parser.add_argument("--without-artifacts", action="store_true")
    given = parser.parse_args(arguments)
    told: dict[str, Any] = {"verb": "adopt", "at": datetime.now(UTC).isoformat(timespec="seconds")}
    try:
        end({**told, "result": "ok", **work(given.look, not given.without_artifacts)})
    except RefusedError as error:
        end({**told, "result": "failed", "cause": error.cause[:1500], "fix": error.fix})
        return DEFINITE
    except mlflow_schema.SchemaError as error:
        end({**told, "result": "failed", "cause": str(error)[:1500], "fix": ""})
        return DEFINITE
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        print(f"ERROR: {type(error).__name__}: {lines[0][:500]}", flush=True)
        cause = f"The move was cut off: {type(error).__name__}: {lines[0][:500]}"
        fix = "Run the same command again; it resumes where it stopped."
        end({**told, "result": "failed", "cause": cause, "fix": fix})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
