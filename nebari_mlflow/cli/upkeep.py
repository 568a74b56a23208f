"""What backups and drills left behind in the cluster: the last good one, and a failure since."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.nebari.mlflow.plugins.module_utils.kube.api import Api

    from .context import Target

CONTAINER = "backup"
WARN_AFTER = "mlflow.nebari.dev/warn-after-hours"
DEFAULT_HOURS = 48


@dataclass(frozen=True)
class Task:
    """One kind of task: the last run that ended well, and why a later one failed."""

    at: str = ""
    backup: str = ""
    bytes: int | None = None
    secrets: bool | None = None
    failed_at: str = ""
    failure: str = ""

    def report(self) -> dict[str, Any]:
        """Return the fields that are known, as `--json` prints them."""
        return {name: value for name, value in asdict(self).items() if value not in ("", None)}


@dataclass(frozen=True)
class Upkeep:
    """What is known of a release's backups."""

    backup: Task = Task()
    drill: Task = Task()
    aside: bool = False  # a restore put something aside, which is still there
    warn_after: timedelta = timedelta(hours=DEFAULT_HOURS)
    makes_backups: bool = False  # the release is of a chart that does


def look(api: Api, target: Target) -> Upkeep:
    """Read the messages of the pods that are still there; the CronJob knows of runs whose pods are gone."""
    from ansible_collections.nebari.mlflow.plugins.module_utils.health.job import message_of

    from . import cluster

    pods = cluster.pods(api, target.release, target.namespace, "backup")
    told = [message for pod in pods if (message := message_of(pod, CONTAINER))]
    root = f"/apis/batch/v1/namespaces/{target.namespace}/cronjobs/{target.release}"
    cronjobs = {name: api.find(f"{root}-{name}") or {} for name in ("backup", "drill")}
    hours = (cronjobs["backup"].get("metadata", {}).get("annotations") or {}).get(WARN_AFTER, DEFAULT_HOURS)
    return Upkeep(
        backup=judge(told, "backup", _succeeded(cronjobs["backup"])),
        drill=judge(told, "drill", _succeeded(cronjobs["drill"])),
        aside=_aside(told),
        warn_after=timedelta(hours=float(hours)),
        makes_backups=bool(cronjobs["backup"]),
    )


def _succeeded(cronjob: dict[str, Any]) -> str:
    return str((cronjob.get("status") or {}).get("lastSuccessfulTime") or "")


def judge(told: Iterable[dict[str, Any]], verb: str, succeeded: str) -> Task:
    """Find the last good run of a verb, and a failure after it."""
    runs = sorted((each for each in told if each.get("verb") == verb), key=lambda each: str(each["at"]))
    good = next((each for each in reversed(runs) if each["result"] == "ok"), None)
    bad = runs[-1] if runs and runs[-1]["result"] != "ok" else None
    failed_at, failure = (str(bad["at"]), str(bad.get("cause", ""))) if bad else ("", "")
    if good is None:
        return Task(at=succeeded, failed_at=failed_at, failure=failure)
    backup = good.get("backup") or good
    return Task(str(good["at"]), str(backup["id"]), backup["bytes"], backup["secrets"], failed_at, failure)


def _aside(told: Iterable[dict[str, Any]]) -> bool:
    good = [each for each in told if each["result"] == "ok" and each["verb"] in ("restore", "undo", "discard")]
    return bool(good) and max(good, key=lambda each: str(each["at"]))["verb"] == "restore"


def ago(at: str, now: datetime) -> timedelta | None:
    """Return how long ago a time was; None without one."""
    return now - datetime.fromisoformat(at.replace("Z", "+00:00")) if at else None


def words(passed: timedelta) -> str:
    """Return `3 h` and the like."""
    minutes = max(0, int(passed.total_seconds() // 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"
