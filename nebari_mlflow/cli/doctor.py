"""Checks of this machine, the configuration and the cluster, each with its cause and the command that repairs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.nebari.mlflow.plugins.module_utils.release.namespace import is_terminating, terminating

from .. import helm
from ..errors import MlflowError, SetupError, UntrustedError
from ..names import ROTATED
from ..play import workspace
from ..play.kubeconfig import named, read
from . import cluster, room, upkeep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from ansible_collections.nebari.mlflow.plugins.module_utils.kube.api import Api

    from .context import Target

SOON_FULL = 30
"""Days."""
PLACES = "NEBARI_MLFLOW_DATABASE_PLACES"
ENOUGH_PLACES = 10
"""What the chart gives a worker if the connections allow it."""
OK, WARN, FAIL = "ok", "warning", "failed"
GET_HELM = (
    f"Install {helm.NEEDED} by your system's package manager, or as https://helm.sh/docs/intro/install "
    "says from a release whose checksum you compared."
)


@dataclass
class Check:
    """One result. `fix` is a command where there is one."""

    name: str
    result: str
    cause: str = ""
    fix: str = ""

    def report(self) -> dict[str, Any]:
        """Return the fields as `--json` prints them."""
        return asdict(self)


def examine(find: Callable[[], Target]) -> Iterator[Check]:
    """Yield each result as soon as it is known. What cannot be asked any more is left out."""
    yield _ansible()
    yield _helm()
    yield _memory()
    try:
        target = find()
    except MlflowError as error:
        yield Check("configuration", FAIL, error.cause, error.fix)
        return
    yield Check("configuration", OK, target.source)
    yield _kubeconfig(target)
    yield from _cluster(target)


def _ansible() -> Check:
    path = shutil.which("ansible-playbook", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    fix = f"{sys.executable} -m pip install 'ansible>=12.3'"
    return Check("ansible", OK, path) if path else Check("ansible", FAIL, "ansible-playbook was not found.", fix)


def _helm() -> Check:
    path = helm.on_path()
    try:
        said = helm.version(path) if path else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        said = f"broken ({error})"
    if path and helm.supported(said):
        return Check("helm", OK, f"{path} {said}")
    try:
        nebari = helm.of_nebari(download=False)
    except UntrustedError as error:
        return Check("helm", FAIL, error.cause, error.fix)
    if helm.works(nebari):
        return Check("helm", OK, f"{nebari} {helm.version(nebari)}, which Nebari downloaded")
    found = f"{path} is {said or 'not Helm'}" if path else "helm is not on PATH"
    return Check("helm", FAIL, f"{found}; {helm.NEEDED} is needed.", GET_HELM)


def _memory() -> Check:
    try:
        workspace.check_semaphores()
    except SetupError as error:
        return Check("temporary files", FAIL, error.cause, error.fix)
    left = workspace.sweep()
    root = next(filter(workspace.usable, workspace.candidates()), None)
    if root is None:
        tried = " ".join(map(str, workspace.candidates()))
        cause = f"No directory has room and is writable: {tried}."
        return Check("temporary files", FAIL, cause, "export XDG_RUNTIME_DIR=$(mktemp -d -p ~)")
    return Check("temporary files", OK, f"{root}" + (f", {len(left)} leftover directories removed" if left else ""))


def _kubeconfig(target: Target) -> Check:
    try:
        found = read(named(target.kubeconfig))
    except UntrustedError as error:
        return Check("kubeconfig", FAIL, error.cause, error.fix)
    except SetupError as error:
        return Check("kubeconfig", FAIL, error.cause, "export KUBECONFIG=/path/to/kubeconfig")
    listed = " ".join(str(file.path) for file in found)
    if any(file.open_to_others for file in found):
        return Check("kubeconfig", WARN, f"Other users of this machine can read {listed}.", f"chmod 600 {listed}")
    return Check("kubeconfig", OK, listed)


def _cluster(target: Target) -> Iterator[Check]:
    try:
        with cluster.asking():
            api = cluster.connect_to(target)
            version = api.request("GET", "/version")["gitVersion"]
            yield Check("cluster", OK, f"{api.server} {version}")
            yield _storage_class(api.request("GET", "/apis/storage.k8s.io/v1/storageclasses")["items"], target)
            yield _namespace(api.find(f"/api/v1/namespaces/{target.namespace}"), target)
            deployments = f"/apis/apps/v1/namespaces/{target.namespace}/deployments"
            server = api.find(f"{deployments}/{target.release}-tracking")
    except MlflowError as error:
        yield Check("cluster", FAIL, error.cause, error.fix)
        return
    from . import status

    found = status.look(target, sizes=False)
    if found.state == status.ABSENT:
        yield Check("release", WARN if target.enabled else OK, found.cause, found.fix if target.enabled else "")
    elif found.state == status.ACTIVE:
        yield Check(
            "release", OK, f"{target.release} revision {found.release['revision']}, MLflow {found.versions['mlflow']}"
        )
        yield Check("access", OK, status.ACCESS[found.access])
        yield from _route(found.route)
        yield from _connections(server)
        if not found.release["verified"]:
            cause = "The smoke test has not passed in this revision."
            yield Check("use", WARN, cause, target.command("verify"))
    else:
        yield Check("release", FAIL if found.state == status.BLOCKED else WARN, found.cause, found.fix)
    if found.state != status.ABSENT:
        with cluster.asking():
            yield from backups(upkeep.look(api, target), api.now(), target)
            yield from _rotation(api, target)
        if found.database.get("kind") == "in-cluster":
            pod = f"{target.release}-postgresql-0"
            yield from space(room.of_database(target, pod), pod, target)


def backups(found: upkeep.Upkeep, now: datetime, target: Target) -> Iterator[Check]:
    """Judge the last backup and the last drill."""
    again = target.command("backup")
    passed = upkeep.ago(found.backup.at, now)
    if not found.makes_backups:
        cause = "The release was deployed by a version that cannot make backups."
        yield Check("backup", WARN, cause, target.command("deploy"))
    elif found.backup.failure:
        yield Check("backup", WARN, f"The last one failed at {found.backup.failed_at}: {found.backup.failure}", again)
    elif passed is None:
        yield Check("backup", WARN, "The cluster knows of none.", again)
    elif passed > found.warn_after:
        limit = upkeep.words(found.warn_after)
        cause = f"The last one is {upkeep.words(passed)} old, more than {limit} (backup.warnAfterHours)."
        yield Check("backup", WARN, cause, again)
    elif found.backup.secrets is False:
        cause = "Backups do not contain MLflow's keys: backup.recipients names no public key."
        yield Check("backup", WARN, cause, "age-keygen -o key.txt, then set backup.recipients to its public key.")
    else:
        yield Check("backup", OK, f"{upkeep.words(passed)} old")
    if found.drill.failure:
        cause = f"The last one failed at {found.drill.failed_at}: {found.drill.failure}"
        yield Check("drill", WARN, cause, f"{target.command('restore')} --drill")


def space(found: room.Room | None, pod: str, target: Target) -> Iterator[Check]:
    """Say if the database's volume will soon be full, and if an index wastes its room."""
    if found is None:
        return
    days = found.full_in_days
    if days is not None and days < SOON_FULL:
        cause = f"At the pace of the last runs, the database's volume is full in {days} days."
        fix = "Raise postgresql.primary.persistence.size and deploy, or remove what is not needed: nebari-mlflow gc."
        yield Check("database volume", WARN, cause, fix)
    if found.is_bloated:
        cause = "The index of metrics is more than twice as large as its rows need. The cure runs while MLflow does."
        psql = ("psql", "-U", "postgres", "-d", "mlflow", "-c", "REINDEX TABLE CONCURRENTLY metrics")
        fix = target.told_kubectl("-n", target.namespace, "exec", pod, "-c", "postgresql", "--", *psql)
        yield Check("index of metrics", WARN, cause, fix)


def _rotation(api: Api, target: Target) -> Iterator[Check]:
    """Say if a rotation was cut off; it may also be running."""
    from ansible_collections.nebari.mlflow.plugins.module_utils.release.rotation import state_of

    folder = f"/api/v1/namespaces/{target.namespace}/secrets/{target.release}"
    for part in ROTATED:
        secret = api.find(f"{folder}-{part}")
        if secret is not None and (state := state_of(secret)):
            cause = f"A rotation of Secret {target.release}-{part} runs or was cut off ({state})."
            yield Check("rotation", WARN, cause, target.command("rotate"))
            return


def _connections(server: dict[str, Any] | None) -> Iterator[Check]:
    """Say if the database grants too few connections for all requests that the server could work on."""
    containers = server["spec"]["template"]["spec"]["containers"] if server else []
    given = {each["name"]: each.get("value", "") for container in containers for each in container.get("env", [])}
    places = given.get(PLACES, "")
    if places.isdigit() and int(places) < ENOUGH_PLACES:
        cause = (
            f"Each worker works on {places} requests at the same time instead of {ENOUGH_PLACES}, because the database "
            "grants too few connections; other requests wait."
        )
        yield Check(
            "connections", WARN, cause, "Raise maxConnections in externalDatabase or postgresql, and deploy again."
        )


def _route(route: dict[str, Any]) -> Iterator[Check]:
    """Say whether people reach the UI; nothing without a route."""
    if route:
        problems = route["problems"] or [{"cause": route["says"], "fix": ""}]
        result = WARN if route["ok"] is False else OK
        yield from (Check("route", result, problem["cause"], problem["fix"]) for problem in problems)


def _storage_class(classes: list[dict[str, Any]], target: Target) -> Check:
    mark = "storageclass.kubernetes.io/is-default-class"
    default = [c["metadata"]["name"] for c in classes if (c["metadata"].get("annotations") or {}).get(mark) == "true"]
    if default:
        return Check("storage class", OK, default[0])
    names = [c["metadata"]["name"] for c in classes]
    cause = f"No class is the default: volumes of {target.release} stay pending. Classes: {', '.join(names) or 'none'}."
    if not names:
        return Check("storage class", WARN, cause, "Install a provisioner of volumes, such as a cloud's CSI driver.")
    fix = target.told_kubectl("annotate", "storageclass", names[0], f"{mark}=true", "--overwrite")
    return Check("storage class", WARN, cause, fix)


def _namespace(namespace: dict[str, Any] | None, target: Target) -> Check:
    if namespace is None:
        return Check("namespace", OK, f"{target.namespace} will be created")
    if is_terminating(namespace):
        fix = target.told_kubectl("wait", "--for=delete", f"namespace/{target.namespace}", "--timeout=10m")
        return Check("namespace", FAIL, terminating(namespace).cause, fix)
    return Check("namespace", OK, target.namespace)
