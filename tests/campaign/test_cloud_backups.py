"""Backups in the store of each cloud, by the server's own identity: made, listed, rehearsed and restored after a loss.

The clouds are those of tests/integration/nebari/test_clouds.py: simulated, in a pod, and they admit the service account
alone.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from tests.integration.backup.support import Backed, key
from tests.integration.nebari.cloud import by_pods, cloud
from tests.integration.nebari.conftest import _traefik_kinds
from tests.integration.nebari.support import ONE_WORKER, Project, project
from tests.integration.nebari.test_clouds import BLOCKS, CLOUDS, REFUSALS
from tests.support import stores

__all__ = ["_traefik_kinds"]
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it"),
]


def backed(made: Project, provider: str) -> Backed:
    """The same project, for the commands that work on a file of variables."""
    variables = {
        "mlflow_provider": provider,
        "mlflow_project_name": made.name,
        "mlflow_namespace": made.namespace,
        "mlflow_kubeconfig": os.environ["KUBECONFIG"],
    }
    (made.folder / "vars.yml").write_text(yaml.safe_dump(variables))
    return Backed(made.folder, made.namespace, os.environ["KUBECONFIG"], made.name.replace("_", "-"))


@pytest.mark.parametrize("name", CLOUDS)
def test_a_loss_is_restored_from_the_clouds_own_store(name: str, tmp_path: Path) -> None:
    with project(tmp_path / name, f"kept_{name}", f"kept-{name}") as made:
        recipients = [key(tmp_path / "key.txt")]
        overrides = {**ONE_WORKER, "backup": {"recipients": recipients}}
        made.configure({"enabled": True, "overrides": overrides}, provider=name, **BLOCKS[name])
        with cloud(name, stores(), made) as account:
            code, output = account.project.nebari("deploy")
            assert code == 0, output
            kept = backed(made, name)
            kept.write("before")
            before = kept.read()
            done = kept.do("backup", "--artifacts", "copy")["outputs"]
            stored = account.objects()
            parts = [path for path in stored if f"-backups/{kept.namespace}/{kept.release}/sets/{done['id']}/" in path]
            assert len(parts) >= 3, stored
            (listed,) = kept.do("backup", "list")["outputs"]["backups"]
            assert listed["id"] == done["id"]
            assert listed["secrets"] is True
            assert kept.do("restore", "--drill")["outputs"]["backup"]["id"] == done["id"]
            kept.sql("DELETE FROM metrics; DELETE FROM model_versions; UPDATE params SET value = 'broken'")
            restored = kept.do("restore", "--yes")["outputs"]
            assert restored["backup"]["id"] == done["id"]
            assert kept.read() == before
            refused = [call for call in by_pods(account.calls()) if call["status"] in REFUSALS]
            assert refused == []
