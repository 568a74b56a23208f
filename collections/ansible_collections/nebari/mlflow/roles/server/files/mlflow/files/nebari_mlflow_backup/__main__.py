"""`python3 -m nebari_mlflow_backup VERB`: what the chart's Jobs run. The last line is the result, as JSON."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import mlflow_schema
import mlflow_uri
from mlflow_schema import DEFINITE, Clock, Database, SchemaError, connect

from nebari_mlflow_backup import backup, collect, rekey, restore, sets, tables, upgrade
from nebari_mlflow_backup.exchange import Exchange, ProgramError
from nebari_mlflow_backup.report import Progress, RefusedError, end
from nebari_mlflow_backup.sets import Retention
from nebari_mlflow_backup.store import Store, StoreError, destination

VERBS = (
    "backup",
    "list",
    "prune",
    "secrets",
    "inspect",
    "restore",
    "recover",
    "undo",
    "discard",
    "drill",
    "gc",
    "rekey",
    "examine",
    "upgrade",
    "revert",
)


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nebari_mlflow_backup")
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--id", default=sets.NEWEST)
    parser.add_argument("--source", default="")
    parser.add_argument(
        "--artifacts", choices=("none", "copy", "versioning"), default=os.environ.get("BACKUP_ARTIFACTS")
    )
    parser.add_argument("--reason", default="asked")
    parser.add_argument("--replace", action="store_true")
    parser.add_argument("--keep-last", type=int, default=int(os.environ.get("BACKUP_KEEP_LAST", "0")))
    parser.add_argument("--keep-days", type=int, default=int(os.environ.get("BACKUP_KEEP_DAYS", "0")))
    parser.add_argument("--days", type=int, default=int(os.environ.get("GC_DAYS", "30")))
    parser.add_argument("--delete", action="store_true")
    parser.add_argument("--served", action="store_true")
    parser.add_argument("--upgrading", action="store_true")
    return parser.parse_args(arguments)


class Run:
    """One verb with what it needs, each opened when it is needed."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.progress = given, Progress()
        self.exchange = Exchange()  # first of all: the other container waits for it

    def store(self) -> Store:
        self.progress.say("opening the store of backups")
        return Store(self.given.source or destination(dict(os.environ)), self.connect)

    def connect(self) -> Database:
        """Connect to PostgreSQL itself, if the server's way leads through a pooler."""
        given = mlflow_schema.parameters(os.environ["MLFLOW_BACKEND_STORE_URI"])
        direct = {"host": os.environ.get("DIRECT_HOST", ""), "port": os.environ.get("DIRECT_PORT", "")}
        if any(direct.values()):
            given |= {name: value for name, value in direct.items() if value}
            os.environ["MLFLOW_BACKEND_STORE_URI"] = mlflow_uri.join(given, "postgresql")
        return connect(Clock(float(os.environ.get("CONNECT_SECONDS", "120"))))

    def database(self) -> Database:
        """Connect, and hand the connection to the other container."""
        found = self.connect()
        self.exchange.connect_to(found.parameters)
        return found

    def do(self) -> dict[str, Any]:
        verbs: dict[str, Callable[[], dict[str, Any]]] = {name: getattr(self, name) for name in VERBS}
        return verbs[self.given.verb]()

    def backup(self) -> dict[str, Any]:
        store, database, lock = self.store(), self.database(), self.connect()
        with tables.locked(lock, self.progress, shared=True):
            if self.given.reason == upgrade.REASON:
                return upgrade.make(database, self.exchange, store, self.progress)
            made = backup.make(
                database, self.exchange, store, self.progress, copy=self.given.artifacts, reason=self.given.reason
            )
        if self.given.keep_last or self.given.keep_days:
            with tables.locked(lock, self.progress, shared=False):
                made["pruned"] = len(self._prune(store)["removed"])
        return made

    def list(self) -> dict[str, Any]:
        store = self.store()
        found = sets.rows(store)
        return {"backups": found, "store": store.uri}

    def prune(self) -> dict[str, Any]:
        store = self.store()
        with tables.locked(self.connect(), self.progress, shared=False):
            return self._prune(store)

    def _prune(self, store: Store) -> dict[str, Any]:
        retention = Retention(self.given.keep_last, self.given.keep_days)
        return sets.prune(store, datetime.now(UTC), retention, self.progress)

    def secrets(self) -> dict[str, Any]:
        return restore.secrets(self.store(), self.given.id)

    def inspect(self) -> dict[str, Any]:
        return restore.inspect(self.connect(), self.store(), self.given.id)

    def restore(self) -> dict[str, Any]:
        store, database = self.store(), self.database()
        with tables.locked(self.connect(), self.progress, shared=False):
            return restore.restore(
                database, self.exchange, store, self.progress, self.given.id, replace=self.given.replace
            )

    def recover(self) -> dict[str, Any]:
        with tables.locked(self.connect(), self.progress, shared=False):
            return restore.recover(self.connect(), self.progress)

    def undo(self) -> dict[str, Any]:
        with tables.locked(self.connect(), self.progress, shared=False):
            return restore.undo(self.connect(), self.progress)

    def discard(self) -> dict[str, Any]:
        with tables.locked(self.connect(), self.progress, shared=False):
            return restore.discard(self.connect())

    def drill(self) -> dict[str, Any]:
        store, database = self.store(), self.connect()
        with tables.locked(self.connect(), self.progress, shared=True):
            return restore.drill(self.exchange, database, store, self.progress, self.given.id)

    def gc(self) -> dict[str, Any]:
        with tables.locked(self.connect(), self.progress, shared=False):
            return collect.collect(
                self.connect(),
                self.progress,
                self.given.days,
                delete=self.given.delete,
                store=lambda: Store(os.environ["ARTIFACTS_DESTINATION"]),
            )

    def rekey(self) -> dict[str, Any]:
        with tables.locked(self.connect(), self.progress, shared=False):  # a backup must hold the keys of its rows
            return rekey.rekey(self.connect(), self.progress)

    def examine(self) -> dict[str, Any]:
        uri = self.given.source or upgrade.place(os.environ)
        store = functools.partial(Store, uri, self.connect)
        return upgrade.examine(self.connect(), store, uri, upgrading=self.given.upgrading)

    def upgrade(self) -> dict[str, Any]:
        store, database = self.store(), self.database()
        with tables.locked(self.connect(), self.progress, shared=False):
            return upgrade.upgrade(database, self.exchange, store, self.progress)

    def revert(self) -> dict[str, Any]:
        store, database = self.store(), self.database()
        with tables.locked(self.connect(), self.progress, shared=False):
            return upgrade.revert(database, self.exchange, store, self.progress, served=self.given.served)


def main(arguments: list[str]) -> int:
    """Run one verb; 78 is a failure that another try would not cure."""
    given = options(arguments)
    told = {"verb": given.verb, "at": datetime.now(UTC).isoformat(timespec="seconds")}
    try:
        end({**told, "result": "ok", **Run(given).do()})
    except RefusedError as error:
        return _failed(told, error.cause, error.fix, DEFINITE)
    except SchemaError as error:
        return _failed(told, str(error), "", DEFINITE)
    except (StoreError, ProgramError, TimeoutError) as error:
        return _failed(told, str(error), "", 1)
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        return _failed(told, f"{type(error).__name__}: {lines[0][:300]}", "", 1)
    return 0


def _failed(told: dict[str, Any], cause: str, fix: str, code: int) -> int:
    print(f"ERROR: {cause} {fix}".rstrip(), flush=True)
    of_upgrade = {"code": upgrade.CODE} if told["verb"] in ("examine", "upgrade", "revert") else {}
    end({**told, **of_upgrade, "result": "failed", "cause": cause[:1500], "fix": fix})
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
