"""A class of storage or of pods that the cluster does not have stops a deploy and a plan before anything is created."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ApiError, NeverReady
from ansible_collections.nebari.mlflow.plugins.module_utils.release.classes import (
    PRIORITY,
    STORAGE,
    VOLUMES,
    refuse_missing,
)
from ansible_collections.nebari.mlflow.plugins.module_utils.release.comparison import Comparison
from ansible_collections.nebari.mlflow.plugins.module_utils.release.manifest import HOOK, key
from ansible_collections.nebari.mlflow.plugins.module_utils.release.options import Options
from ansible_collections.nebari.mlflow.plugins.module_utils.release.session import Session

DEFAULT = {"metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}
SLOW = {"metadata": {"name": "slow"}}


def claim(wanted: str | None) -> dict[str, Any]:
    spec = {} if wanted is None else {"storageClassName": wanted}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "files"}, "spec": spec}


def database(wanted: str | None) -> dict[str, Any]:
    template = {**claim(wanted), "metadata": {"name": "data"}}
    spec = {"volumeClaimTemplates": [template], "template": {"spec": {}}}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": spec}


def server(priority: str) -> dict[str, Any]:
    spec = {"template": {"spec": {"priorityClassName": priority}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def volume(wanted: str, phase: str = "Available") -> dict[str, Any]:
    return {"metadata": {"name": "pv"}, "spec": {"storageClassName": wanted}, "status": {"phase": phase}}


def check(item: dict[str, Any], has: dict[str, Any], live: Any = None, hooks: tuple[Any, ...] = ()) -> None:
    """Check one object in a cluster that has these; what is not given may not be listed."""

    def request(method: str, path: str) -> dict[str, Any]:
        assert method == "GET"
        if path not in has:
            raise ApiError(403, {}, f"{path} is forbidden")
        return {"items": has[path]}

    api = SimpleNamespace(request=request, find=lambda path: has.get(path))
    session = cast("Session", SimpleNamespace(api=api, options=Options("one", "dev")))
    refuse_missing(session, [Comparison(key(item, "dev"), item, live, item)], list(hooks))


@pytest.mark.parametrize("make", [claim, database])
@pytest.mark.parametrize(
    ("wanted", "classes", "volumes", "told"),
    [
        ("fast", [DEFAULT], [], ""),
        (None, [DEFAULT], [], ""),
        ("fsat", [DEFAULT, SLOW], [], "no StorageClass 'fsat' (the cluster has: fast, slow)"),
        ("fast", [], [], "no StorageClass 'fast' (the cluster has none)"),
        (None, [SLOW], [], "no default one (the cluster has: slow)"),
        ("", [], [], ""),
        ("manual", [DEFAULT], [volume("manual")], ""),
        ("manual", [DEFAULT], [volume("manual", "Bound")], "no StorageClass 'manual'"),
        (None, [], [volume("")], ""),
    ],
)
def test_a_storage_class_that_is_missing_is_refused(
    make: Any, wanted: str | None, classes: list[Any], volumes: list[Any], told: str
) -> None:
    has = {STORAGE: classes, VOLUMES: volumes}
    if not told:
        check(make(wanted), has)
        return
    with pytest.raises(NeverReady) as refused:
        check(make(wanted), has)
    assert told in refused.value.cause
    assert refused.value.code == "NML406"


def test_who_may_not_look_is_not_stopped() -> None:
    check(claim("fsat"), {})
    check(claim("fsat"), {STORAGE: [DEFAULT]})
    check(server("high"), {})


def test_claims_that_exist_are_left_to_their_volumes() -> None:
    check(claim("gone"), {STORAGE: [], VOLUMES: []}, live=claim("gone"))
    path = "/api/v1/namespaces/dev/persistentvolumeclaims/data-db-0"
    check(database("gone"), {STORAGE: [], VOLUMES: [], path: claim("gone")})


def test_a_priority_class_that_is_missing_is_refused() -> None:
    has = {PRIORITY: [{"metadata": {"name": "high"}}]}
    check(server("high"), has)
    with pytest.raises(NeverReady, match=r"no PriorityClass 'higher' \(the cluster has: high\)"):
        check(server("higher"), has)
    test = {"kind": "Pod", "metadata": {"name": "t", "annotations": {HOOK: "test"}}, "spec": {"priorityClassName": "x"}}
    with pytest.raises(NeverReady, match="'x'"):
        check(server("high"), has, hooks=(test,))
