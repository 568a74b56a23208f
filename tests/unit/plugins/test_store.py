"""When a deploy changes the artifact store, and what it says then. No cluster is asked."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.release import store
from ansible_collections.nebari.mlflow.plugins.module_utils.release.comparison import Comparison
from ansible_collections.nebari.mlflow.plugins.module_utils.release.manifest import key


def server(uri: str, kind: str = "Deployment") -> dict[str, Any]:
    options = ["--host=0.0.0.0", f"--artifacts-destination={uri}"] if uri else ["--host=0.0.0.0"]
    containers = [{"name": "proxy"}, {"name": "tracking", "command": ["mlflow", "server"], "args": options}]
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "one-tracking"},
        "spec": {"template": {"spec": {"containers": containers}}},
    }


CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {}}


@pytest.mark.parametrize(
    ("live", "wanted", "warned"),
    [
        (None, server("s3://b/p"), False),
        (server("s3://b/p"), server("s3://b/p"), False),
        (server("s3://b/p/"), server("s3://b/p"), False),
        (server(""), server("s3://b/p"), False),
        (server("/mlflow/artifacts", "Job"), server("s3://b/p", "Job"), False),
        (server("/mlflow/artifacts"), server("s3://b/p"), True),
        (server("s3://b/p"), server("/mlflow/artifacts"), True),
        (server("s3://b/p"), server("s3://b/q"), True),
    ],
    ids=["nothing", "same", "slash", "unknown", "another kind", "volume to s3", "s3 to volume", "another prefix"],
)
def test_another_store_is_announced_with_both_places(
    live: dict[str, Any] | None, wanted: dict[str, Any], warned: bool
) -> None:
    items = [(CONFIG, CONFIG), (live, wanted)]
    found = store.warnings(Comparison(key(item, "dev"), item, there, item) for there, item in items)
    assert bool(found) is warned
    if warned:
        assert live is not None
        told = f"one-tracking changes from {store.of_server(live)} to {store.of_server(wanted)}."
        assert told in found[0]
        assert "--artifacts copy" in found[0]
