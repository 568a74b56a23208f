"""Upgrade the database's schema with a way back: examine it, migrate it, and bring the state before back.

The backup and the migration run while no server does, so what comes back is all that was ever written. A migration that
PostgreSQL itself has undone needs no backup: every table is compared with it first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import migrate
import mlflow_keys
import mlflow_permissions
import mlflow_schema
import mlflow_uri
from mlflow_schema import Clock, Database, Migrations, State

from nebari_mlflow_backup import aside, backup, restore, sets, tables
from nebari_mlflow_backup.exchange import Exchange
from nebari_mlflow_backup.manifest import Manifest
from nebari_mlflow_backup.report import Progress, RefusedError, size
from nebari_mlflow_backup.store import IN_DATABASE, Store, destination

CODE = "NML432"
REASON = "upgrade"
SPARE = 64 * 1024**2
LOCK_SECONDS = 60
"""For how long a statement of the migration waits for a session that is not MLflow's own."""

VERSIONS = {"alembic_version", "alembic_version_auth"}
"""The tables in which MLflow's migrations, of its data and of its users, note how far they are."""

OURS = ("mlflow-server", "mlflow-migrate", "mlflow-backup", "mlflow-indexes", "mlflow-wait-for-schema")
OTHERS = """
SELECT coalesce(nullif(application_name, ''), 'without a name'), coalesce(usename, '?'), count(*)
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
AND coalesce(backend_type, 'client backend') = 'client backend' AND application_name <> ALL (%s)
GROUP BY 1, 2 ORDER BY 1, 2
"""
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


class Act(Enum):
    """What a deploy has to do with the database before it changes the release."""

    DEPLOY = "deploy"
    UPGRADE = "upgrade"
    GO_BACK = "go_back"


def decide(state: State, before: str | None, migrations: Migrations) -> tuple[Act, Act]:
    """Return what is to do, and what after that; `before` is the schema of the backup of an upgrade that was cut off.

    Only a database that such an upgrade has migrated goes back: then the version that is wanted is the older one.
    """
    if state is State.BEHIND:
        return Act.UPGRADE, Act.DEPLOY
    if state is State.AHEAD and before in migrations.known:
        return Act.GO_BACK, Act.DEPLOY if before == migrations.head else Act.UPGRADE
    return Act.DEPLOY, Act.DEPLOY


def place(environ: Mapping[str, str]) -> str:
    """Return where the backup of an upgrade goes: where all backups go, otherwise into the database itself."""
    try:
        return destination(dict(environ))
    except RefusedError:
        return IN_DATABASE


def number(quantity: str) -> int | None:
    """Read a size as Kubernetes writes it; None for one that is not."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kMGT]?|[KMGT]i)", quantity)
    return int(float(match[1]) * UNITS[match[2]]) if match else None


def room(uri: str, used: int, environ: Mapping[str, str]) -> int | None:
    """Return the bytes that are free for the backup, None where nobody can know."""
    if uri == IN_DATABASE:
        whole = number(environ.get("DATABASE_VOLUME", ""))
        return None if whole is None else max(0, whole - used)
    if "://" in uri:
        return None
    folder = next(each for each in (Path(uri), *Path(uri).parents) if each.exists())
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def refuse_room(uri: str, used: int, free: int | None) -> None:
    """Refuse before anything is stopped. A dump is compressed: half of the database is a cautious guess."""
    needed = used // 2 + SPARE
    if free is None or free >= needed:
        return
    where = "the database's volume" if uri == IN_DATABASE else f"the volume of {uri}"
    cure = "postgresql.primary.persistence.size" if uri == IN_DATABASE else "backup.volume.size"
    raise RefusedError(
        f"There is no room for the backup that an upgrade makes: it may need {size(needed)}, and {where} has "
        f"{size(free)}. Nothing was changed.",
        f"Enlarge {cure}, or set backup.destination to a bucket, and deploy this version's settings first.",
    )


def downtime(used: int) -> int:
    """Guess the seconds without a server: stop, compare every table, migrate, start."""
    return 60 + used // (20 * 1024**2)


def examine(database: Database, opened: Callable[[], Store], uri: str, *, upgrading: bool) -> dict[str, Any]:
    """Look at the database with the version that is wanted. Changes nothing, and refuses what could not work.

    `upgrading` says that an upgrade was cut off, or that going back was asked for.
    """
    state = database.state()
    migrate.refuse_restoring(database)
    found = {"state": state.value, "from": database.revision(), "to": database.migrations.head, "store": uri}
    if state is State.CURRENT and not _is_behind_in_users(database):
        return {**found, "act": Act.DEPLOY.value, "then": Act.DEPLOY.value}
    before = newest(opened()) if state is not State.EMPTY else None
    act, then = decide(state, before["schema"]["revision"] if before and upgrading else None, database.migrations)
    if state is State.CURRENT:
        act = Act.UPGRADE  # the tables of its users
    found |= {"act": act.value, "then": then.value}
    if act is Act.GO_BACK:
        return found
    if state is State.AHEAD and before and before["schema"]["revision"] in database.migrations.known:
        raise RefusedError(
            f"The database's schema ({database.revision()}) is newer than this image's MLflow "
            f"({database.migrations.head}): MLflow cannot go back. Nothing was changed.",
            f"Deploy the newer version again. Or go back to backup {before['id']}, made before the upgrade: "
            "nebari-mlflow deploy --go-back PROJECT, or mlflow_restore_confirm with the project's name. What was "
            "written since is put aside.",
        )
    migrate.refuse(database, state)
    migrate.refuse_rights(database, state)
    if act is Act.DEPLOY:
        return found
    _refuse(database, uri, upgrading=upgrading)
    ((used,),) = database.query("SELECT pg_database_size(current_database())")
    refuse_room(uri, int(used), room(uri, int(used), os.environ))
    return {**found, "bytes": int(used), "downtime": downtime(int(used)), "warnings": _warnings(database, int(used))}


def _warnings(database: Database, used: int) -> list[str]:
    way = f"{database.revision() or 'none'} to {database.migrations.head}"
    others = database.query(OTHERS, list(OURS))
    return [
        f"The database's schema changes from {way}. The server is away for about {downtime(used)} s.",
        *(
            f"{count} sessions of {name} (user {user}) use the database beside this server. Stop whatever writes "
            "there: the upgrade cannot, and it is taken back if they hold a lock."
            for name, user, count in others
        ),
    ]


def _is_behind_in_users(database: Database) -> bool:
    """Whether the tables of users and permissions are there and of an older version."""
    return mlflow_permissions.TABLE in database.tables() and not mlflow_permissions.current(database)


def _refuse(database: Database, uri: str, *, upgrading: bool) -> None:
    """Refuse what would only show after the server was stopped."""
    backup.refuse_pooler(database)
    if not upgrading and aside.find(database) is not None:
        raise RefusedError(f"{aside.told(database)} An upgrade needs their place.", aside.DECIDE)
    if uri == IN_DATABASE and not database.query("SELECT has_database_privilege(current_database(), 'CREATE')")[0][0]:
        raise RefusedError(
            "The backup that an upgrade makes has no place: backup.destination is empty, and the user may not create a "
            "schema in the database.",
            database.filled("Set backup.destination to a bucket, or GRANT CREATE ON DATABASE <dbname> TO <user>;"),
        )


def fits(found: Manifest, database: Database) -> bool:
    """Whether the database is what the backup has, by its schema and by every table's rows and checksum."""
    if found["schema"]["revision"] != database.revision():
        return False
    with tables.transaction(database):
        return not tables.differences(found["tables"], tables.read(database))


def is_migrated(found: Manifest, database: Database) -> bool:
    """Whether a migration went through since the backup: PostgreSQL undoes one that does not, as a whole."""
    with tables.transaction(database):
        present = tables.read(database, VERSIONS)
    return bool(tables.differences({name: found["tables"][name] for name in VERSIONS & set(found["tables"])}, present))


def newest(store: Store) -> Manifest | None:
    """Return the newest backup of an upgrade. No migration begins before it is what the database has."""
    for identity in sets.identities(store):
        found = sets.load(store, identity)
        if found["reason"] == REASON:
            return found
    return None


def make(database: Database, exchange: Exchange, store: Store, progress: Progress) -> dict[str, Any]:
    """Make the backup of an upgrade. In the database itself only the newest one is kept."""
    made = backup.make(database, exchange, store, progress, copy="none", reason=REASON)
    if store.uri == IN_DATABASE:
        for each in sets.identities(store):
            if each != made["id"]:
                store.delete(f"{sets.FOLDER}/{each}")
    return made


def upgrade(database: Database, exchange: Exchange, store: Store, progress: Progress) -> dict[str, Any]:
    """Migrate the schema. The caller has stopped the servers; the backup is made again if they wrote after it."""
    clock = Clock(float(os.environ.get("TIMEOUT_SECONDS", "600")))
    with migrate.locked(database, clock):
        state, before = database.state(), database.revision()
        migrate.refuse(database, state)
        migrate.refuse_rights(database, state)
        mlflow_keys.require(database)
        if state is State.CURRENT and not _is_behind_in_users(database):
            return {"from": before, "to": before}
        migrate.wait_for_writers(database, clock)
        migrate.end_index_creation(database)
        progress.say("comparing every table with the backup")
        found = newest(store)
        if found is None or not fits(found, database):
            progress.say("something was written after the backup: making another one")
            make(database, exchange, store, progress)
        mlflow_keys.give_up(database)
        _migrate(database, clock, f"{before or 'none'} -> {database.migrations.head}")
    return {"from": before, "to": database.revision(), "seconds": round(progress.elapsed(), 1)}


def _migrate(database: Database, clock: Clock, way: str) -> None:
    task = f"schema {way}: migrating"
    clock.tell(task)
    if "options" not in database.parameters:
        os.environ["PGOPTIONS"] = f"-c lock_timeout={LOCK_SECONDS}s"
    try:
        with migrate.heartbeat(clock, task):
            migrate.upgrade(database.parameters)
            mlflow_permissions.migrate(database, clock)
    except Exception as error:
        said = mlflow_uri.scrub(mlflow_schema.said_by(error), database.hidden)
        raise RefusedError(
            f"The migration of the database's schema ({way}) failed: {said.rstrip('.')}.",
            "Remove that cause and deploy again.",
        ) from error
    finally:
        os.environ.pop("PGOPTIONS", None)
    if database.state() is not State.CURRENT:
        raise RefusedError(
            f"The migration ended at {database.revision()}, not at {database.migrations.head}.", "Deploy again."
        )


def revert(database: Database, exchange: Exchange, store: Store, progress: Progress, *, served: bool) -> dict[str, Any]:
    """Bring back the state before the upgrade.

    If the new version may have served clients, the tables that they wrote to are kept aside.
    """
    clock = Clock(float(os.environ.get("TIMEOUT_SECONDS", "600")))
    with migrate.locked(database, clock):
        migrate.wait_for_writers(database, clock)
        if (aside.find(database) or {}).get("state") == aside.RESTORING:
            progress.say("an earlier way back was cut off: taking the tables back that it had put aside")
            aside.take_back(database)
        found = newest(store)
        if found is None:
            raise RefusedError(
                f"There is no backup of an upgrade in {store.uri}.", "Restore another: nebari-mlflow backup list."
            )
        if not is_migrated(found, database):
            return {"backup": found["id"], "restored": False, "schema": database.revision()}
        restore.restore(database, exchange, store, progress, found["id"], replace=True, migrating=False)
        if not served:
            aside.discard(database)
            return {"backup": found["id"], "restored": True, "schema": database.revision(), "aside": False}
        warnings = [f"{aside.told(database)} They hold what was written to the newer version. {aside.DECIDE}"]
    return {
        "backup": found["id"],
        "restored": True,
        "schema": database.revision(),
        "aside": True,
        "warnings": warnings,
    }
