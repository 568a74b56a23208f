"""How a release is doing, in four words: Active, Waiting, Blocked or Absent, with the cause and the fix."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from .. import names
from ..errors import ClusterError, SetupError
from . import cluster, room

if TYPE_CHECKING:
    from ansible_collections.nebari.mlflow.plugins.module_utils.kube.api import Api
    from ansible_collections.nebari.mlflow.plugins.module_utils.release.record import Record

    from .context import Target

ACTIVE, WAITING, BLOCKED, ABSENT = "Active", "Waiting", "Blocked", "Absent"
ACCESS = {
    "open": "open to everyone whom the network lets in",
    "users": "users, each by a credential",
}


@dataclass
class Status:
    """One look. Blocked needs a person; Waiting may end by itself."""

    state: str
    cause: str = ""
    fix: str = ""
    release: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    tracking_uri: str = ""
    ui_url: str = ""
    access: str = ""
    replicas: dict[str, int] = field(default_factory=dict)
    storage: dict[str, Any] = field(default_factory=dict)
    database: dict[str, Any] = field(default_factory=dict)
    last_backup: str | None = None
    route: dict[str, Any] = field(default_factory=dict)
    backup: dict[str, Any] = field(default_factory=dict)
    drill: dict[str, Any] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """Return the fields as `--json` prints them."""
        return asdict(self)


def look(target: Target, *, sizes: bool = True) -> Status:
    """Ask the cluster. An unreachable one is a status too."""
    try:
        with cluster.asking():
            api = cluster.connect_to(target)
            record = cluster.newest_record(api, target.release, target.namespace)
            if record is None:
                return _absent(api, target)
            return _deployed(api, target, record, sizes=sizes)
    except (ClusterError, SetupError) as error:
        return Status(BLOCKED, error.cause, error.fix)


def _absent(api: Api, target: Target) -> Status:
    claims = api.request(
        "GET",
        f"/api/v1/namespaces/{target.namespace}/persistentvolumeclaims",
        query={"labelSelector": f"app.kubernetes.io/instance={target.release}"},
    ).get("items", [])
    kept = f" Its data is kept: {', '.join(claim['metadata']['name'] for claim in claims)}." if claims else ""
    return Status(ABSENT, f"{cluster.not_deployed(target).cause}{kept}", target.command("deploy"))


def _deployed(api: Api, target: Target, record: Record, *, sizes: bool) -> Status:
    from ansible_collections.nebari.mlflow.plugins.module_utils.release.record import PENDING

    root = f"/api/v1/namespaces/{target.namespace}"
    deployment = api.find(f"/apis/apps/v1/namespaces/{target.namespace}/deployments/{target.release}-tracking") or {}
    pods = cluster.pods(api, target.release, target.namespace)
    route = _merged(record).get("route") or {}
    again = target.command("deploy")
    status = Status(
        ACTIVE,
        release={
            "name": target.release,
            "namespace": target.namespace,
            "revision": record.revision,
            "status": record.status,
            "updated": str(record.release["info"].get("last_deployed", "")),
            "verified": record.verified,
        },
        versions={"mlflow": _version(deployment, record), "chart": str(record.chart.get("version", ""))},
        tracking_uri=names.tracking_uri(target.project, target.namespace),
        ui_url=f"{'https' if route.get('tls', True) else 'http'}://{route['domain']}{route.get('path', names.PATH)}"
        if route.get("type", "none") != "none"
        else "",
        access=str((_merged(record).get("access") or {}).get("mode", "open")),
        replicas={
            "wanted": int((deployment.get("spec") or {}).get("replicas") or 0),
            "ready": int((deployment.get("status") or {}).get("readyReplicas") or 0),
        },
        storage=_storage(api, root, target, record, sizes=sizes),
        database=_database(api, root, target, record, sizes=sizes),
    )
    _upkeep(api, target, status)
    if record.status in PENDING:
        status.state, status.fix = BLOCKED, again
        status.cause = f"Revision {record.revision} is {record.status}: a deploy is running or was interrupted."
    elif record.status == "failed":
        status.state, status.fix = BLOCKED, again
        status.cause = f"Revision {record.revision} failed: {record.description}"
    else:
        _judge_pods(status, pods, again)
    if status.state == BLOCKED and (note := _upgrade(deployment)):
        status.cause = f"An upgrade from {note.get('from')} was cut off. {status.cause}"
        status.fix = f"{again}: it carries on, or goes back if the version before is configured again."
    if status.replicas["ready"]:
        status.route = _route(api, target, record)
    return status


def _upgrade(deployment: dict[str, Any]) -> dict[str, Any]:
    """Return the note of an upgrade that was cut off; {} if there is none."""
    from ansible_collections.nebari.mlflow.plugins.module_utils.release import upgrade

    return upgrade.read(deployment) if deployment else {}


def _route(api: Api, target: Target, record: Record) -> dict[str, Any]:
    """Try the UI's address through its controller; empty without a route."""
    from ansible_collections.nebari.mlflow.plugins.module_utils.network import trial

    found = trial.look(api, record.defaults, record.config, target.namespace, settle=0)
    return found.report() if found else {}


def _upkeep(api: Api, target: Target, status: Status) -> None:
    from . import upkeep

    found, now = upkeep.look(api, target), api.now()
    status.last_backup = found.backup.at or None
    status.backup, status.drill = found.backup.report(), found.drill.report()
    for facts, task in ((status.backup, found.backup), (status.drill, found.drill)):
        if passed := upkeep.ago(task.at, now):
            facts["ago"] = upkeep.words(passed)
    if found.aside:
        status.backup["aside"] = True


def _judge_pods(status: Status, pods: list[dict[str, Any]], again: str) -> None:
    from ansible_collections.nebari.mlflow.plugins.module_utils.health.podstate import is_ready, of_pod

    # A backup that failed is told as such; it keeps nobody from working.
    lasting = [pod for pod in pods if pod["status"].get("phase") != "Succeeded" and not _is_task(pod)]
    problems = [problem for pod in lasting if not is_ready(pod) for problem in of_pod(pod)]
    definite = next((problem for problem in problems if problem.cause and problem.grace is not None), None)
    if definite is not None:
        status.state, status.cause, status.fix = BLOCKED, definite.cause, definite.fix
    elif problems or status.replicas["ready"] < status.replicas["wanted"]:
        first = f"{problems[0].where} {problems[0].brief}" if problems else "pods are being created"
        status.state, status.cause = WAITING, f"{status.replicas['ready']}/{status.replicas['wanted']} ready: {first}."
        status.fix = problems[0].fix if problems else ""
    elif not status.replicas["wanted"]:
        status.state, status.cause, status.fix = BLOCKED, "The server is scaled to 0.", again


def _is_task(pod: dict[str, Any]) -> bool:
    return bool((pod["metadata"].get("labels") or {}).get("app.kubernetes.io/component") == "backup")


def _merged(record: Record) -> dict[str, Any]:
    """The chart's own values under those that the release was given."""
    defaults = (record.release.get("chart") or {}).get("values") or {}
    merged = dict(defaults)
    for key, given in record.config.items():
        merged[key] = {**defaults[key], **given} if isinstance(given, dict) and defaults.get(key) else given
    return merged


def _version(deployment: dict[str, Any], record: Record) -> str:
    containers = ((deployment.get("spec") or {}).get("template") or {}).get("spec", {}).get("containers") or []
    tag = str(containers[0]["image"]).rpartition(":")[2] if containers else ""
    return tag.removeprefix("v").removesuffix("-full") or str(record.chart.get("appVersion", ""))


def _claim(api: Api, root: str, name: str) -> dict[str, Any]:
    found = api.find(f"{root}/persistentvolumeclaims/{name}")
    if found is None:
        return {}
    capacity = (found.get("status") or {}).get("capacity") or {}
    return {"claim": name, "size": str(capacity.get("storage", "")), "phase": str(found["status"].get("phase", ""))}


def _storage(api: Api, root: str, target: Target, record: Record, *, sizes: bool) -> dict[str, Any]:
    uri = str((_merged(record).get("storage") or {}).get("uri", ""))
    if "://" in uri:
        return {"uri": uri}
    free = room.free_for_artifacts(target, uri) if sizes else None
    found = {"uri": uri, **_claim(api, root, f"{target.release}-artifacts")}
    return {**found, **({} if free is None else {"free": free})}


def _database(api: Api, root: str, target: Target, record: Record, *, sizes: bool) -> dict[str, Any]:
    if not (_merged(record).get("postgresql") or {}).get("enabled", True):
        return {"kind": "external"}
    pod = f"{target.release}-postgresql-0"
    found: dict[str, Any] = {"kind": "in-cluster", **_claim(api, root, f"data-{pod}")}
    if not sizes:
        return found
    space = room.of_database(target, pod)
    return {**found, **(space.report() if space else {"bytes": None})}
