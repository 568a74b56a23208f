"""From an older MLflow to the newest by a deploy, on the cluster: what a client can read stays, whatever happens."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration import old_mlflow
from tests.integration.backup.support import Backed
from tests.support import kubectl

pytestmark = pytest.mark.cluster
OLD = "3.16.0"
NEW = "v3.17.2-full"
IN_THE_WAY = "CREATE TABLE scheduler_leases (id int)"
LONG = pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it")
NOTES = ("mlflow.nebari.dev/upgrade", "mlflow.nebari.dev/replicas")


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backed]:
    """A project of an older MLflow with data in it, and without backups."""
    old_mlflow.image(OLD)
    project = Backed(
        tmp_path_factory.mktemp("upgrade"), f"upgrade-test-{os.getpid()}", os.environ["KUBECONFIG"], name="old"
    )
    project.configure(tag=old_mlflow.tag(OLD), volume={"create": False})
    try:
        project.do("deploy")
        project.write("before")
        yield project
    finally:
        kubectl("delete", "namespace", project.namespace, "--ignore-not-found", "--wait=false")


def revision(project: Backed) -> str:
    return project.sql("SELECT version_num FROM alembic_version").strip()


def server(project: Backed) -> dict[str, Any]:
    """Return the server's Deployment."""
    found: dict[str, Any] = json.loads(project.kubectl("get", f"deploy/{project.release}-tracking", "-o", "json"))
    return found


def assert_serves(project: Backed, tag: str) -> None:
    """The server runs from this image and nothing is left of an upgrade."""
    found = server(project)
    assert found["spec"]["template"]["spec"]["containers"][0]["image"].endswith(f":{tag}")
    assert found["status"]["readyReplicas"] == found["spec"]["replicas"] > 0
    assert not set(NOTES) & set(found["metadata"]["annotations"])
    assert "-upgrade" not in project.kubectl("get", "configmap", "-o", "name")


@LONG
def test_a_failed_migration_leaves_the_old_version_serving(old: Backed) -> None:
    before, schema = old.read(), revision(old)
    old.sql(f"SET ROLE mlflow; {IN_THE_WAY}")
    old.configure(volume={"create": False})
    refused = old.refusal("deploy")
    assert refused["code"] == "NML432"
    assert 'relation "scheduler_leases" already exists' in refused["cause"]
    assert f"{old_mlflow.tag(OLD)} serves again" in refused["cause"]
    assert_serves(old, old_mlflow.tag(OLD))
    assert (revision(old), old.read()) == (schema, before)
    old.sql("DROP TABLE scheduler_leases")


def test_a_deploy_upgrades_the_schema_and_keeps_everything(old: Backed) -> None:
    before, schema = old.read(), revision(old)
    old.configure(volume={"create": False})
    planned = old.run("plan")
    assert planned.returncode == 2, planned.stdout + planned.stderr
    assert "the server is away for about" in planned.stdout + planned.stderr
    assert revision(old) == schema
    assert old.do("deploy")["outputs"]["verified"] is True
    assert_serves(old, NEW)
    assert revision(old) != schema
    assert old.read() == before
    assert old.do("deploy")["outputs"]["changes"] == []
