"""Questions to the Kubernetes API, through the connection that the release module uses too."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ApiError, ReleaseError

from ..errors import ClusterError
from ..play.kubeconfig import named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.nebari.mlflow.plugins.module_utils.kube.api import Api
    from ansible_collections.nebari.mlflow.plugins.module_utils.release.record import Record

    from .context import Target

FORBIDDEN = (401, 403)
NOT_STARTED = 400  # the answer for the log of a container that has not started


@contextmanager
def asking() -> Iterator[None]:
    """Turn the module's errors into ours."""
    try:
        yield
    except ApiError as error:
        raise ClusterError("NML602" if error.status in FORBIDDEN else "NML603", error.cause, error.fix) from error
    except ReleaseError as error:
        raise ClusterError("NML601", error.cause, error.fix) from error


def connect(kubeconfig: str, context: str) -> Api:
    """Open a connection; the first request tells whether the cluster answers."""
    from ansible_collections.nebari.mlflow.plugins.module_utils.kube.api import Api

    return Api(kubeconfig, context)


def connect_to(target: Target) -> Api:
    """Open a connection with the target's private kubeconfig; an error names the original. Raises ClusterError."""
    login = target.login
    try:
        return connect(login, target.context)
    except ReleaseError as error:
        told = named(target.kubeconfig)
        cause, fix = (text.replace(login, told) if login else text for text in (error.cause, error.fix))
        raise ClusterError("NML601", cause, fix) from error


def newest_record(api: Api, release: str, namespace: str) -> Record | None:
    """Return Helm's newest record of the release."""
    from ansible_collections.nebari.mlflow.plugins.module_utils.release.record import Records

    records = Records(api, release, namespace)
    newest = next(iter(records.statuses()), 0)
    return records.read(newest) if newest else None


def not_deployed(target: Target) -> ClusterError:
    """Return the error of a command that needs a release where there is none."""
    cause = f"{target.release} is not deployed in namespace {target.namespace}."
    return ClusterError("NML605", cause, f"Run: {target.command('deploy')}")


def deployed(api: Api, target: Target) -> Record:
    """Return Helm's newest record. Raises ClusterError if there is no release."""
    record = newest_record(api, target.release, target.namespace)
    if record is None:
        raise not_deployed(target)
    return record


def pods(api: Api, release: str, namespace: str, component: str = "") -> list[dict[str, Any]]:
    """Return the release's pods, the oldest first."""
    selector = f"app.kubernetes.io/instance={release}"
    selector += f",app.kubernetes.io/component={component}" if component else ""
    found = api.request("GET", f"/api/v1/namespaces/{namespace}/pods", query={"labelSelector": selector})["items"]
    return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def logs(target: Target, component: str, tail: int) -> dict[str, str]:
    """Return the last lines of each pod of a component, or of each container where a pod has several."""
    api = connect_to(target)
    found = {}
    there = pods(api, target.release, target.namespace, component)
    if not there:
        deployed(api, target)
    for pod in there:
        name, containers = pod["metadata"]["name"], pod["spec"]["containers"]
        for container in containers:
            where = name if len(containers) == 1 else f"{name}/{container['name']}"
            path = f"/api/v1/namespaces/{target.namespace}/pods/{name}/log"
            try:
                found[where] = api.text(path, {"container": container["name"], "tailLines": tail})
            except ApiError as error:
                if error.status != NOT_STARTED:
                    raise
                found[where] = f"{error.message}\n"
    return found
