"""Backup, loss, restore, drill, by the command line on the cluster: a checker compares all that a client can read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.backup.support import Backed, key
from tests.support import kubectl

pytestmark = pytest.mark.cluster
LONG = pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it")


@pytest.fixture(scope="module")
def backed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backed]:
    """A deployed project with data, and a backup of all of it."""
    folder: Path = tmp_path_factory.mktemp("backup")
    project = Backed(folder, f"backup-test-{os.getpid()}", os.environ["KUBECONFIG"])
    project.configure(recipients=[key(folder / "key.txt")])
    try:
        project.do("deploy")
        project.write("before")
        project.do("backup", "--artifacts", "copy")
        yield project
    finally:
        kubectl("delete", "namespace", project.namespace, "--ignore-not-found", "--wait=false")


def test_what_was_lost_is_there_again_after_a_restore(backed: Backed) -> None:
    before = backed.read()
    assert len(before["runs"]) == 6
    assert len(before["models"]) == 1
    backed.sql("DELETE FROM metrics; DELETE FROM model_versions; UPDATE params SET value = 'broken'")
    backed.in_server("rm -rf /mlflow/artifacts/*")
    restored = backed.do("restore", "--yes")["outputs"]
    assert restored["artifacts"]["restored"] >= 12
    assert backed.read() == before
    assert backed.do("status")["backup"]["aside"] is True


@LONG
def test_a_restore_is_taken_back(backed: Backed) -> None:
    backed.do("restore", "--undo", "--yes")
    assert backed.sql("SELECT count(*) FROM metrics WHERE key = 'loss'").strip() == "0"
    backed.do("restore", "--yes")
    assert backed.sql("SELECT count(*) FROM metrics WHERE key = 'loss'").strip() == "42"
    backed.do("restore", "--discard", "--yes")
    assert backed.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'nebari_mlflow%'").strip() == "0"


def test_a_restore_that_nobody_confirms_changes_nothing(backed: Backed) -> None:
    uid = backed.kubectl("get", "pods", "-l", "app.kubernetes.io/component=tracking", "-o", "jsonpath={..uid}")
    assert backed.refusal("restore")["code"] == "NML503"
    assert uid == backed.kubectl("get", "pods", "-l", "app.kubernetes.io/component=tracking", "-o", "jsonpath={..uid}")


@LONG
def test_a_drill_compares_every_table_and_the_status_shows_it(backed: Backed) -> None:
    found = backed.do("restore", "--drill")["outputs"]
    assert found["tables"] > 50
    assert found["rows"] > 1000
    status = backed.do("status")
    assert status["drill"]["backup"] == found["backup"]["id"]
    assert status["backup"]["secrets"] is True


@LONG
def test_lost_keys_come_back_with_the_private_key_only(backed: Backed, tmp_path: Path) -> None:
    kept = backed.secret(f"{backed.release}-keys")
    backed.kubectl("delete", "secret", f"{backed.release}-keys")
    refused = backed.refusal("deploy")
    assert refused["code"] == "NML413"
    assert "nebari-mlflow restore --secrets" in refused["fix"]
    key(tmp_path / "other.txt")
    wrong = backed.refusal("restore", "--secrets", "--identity", str(tmp_path / "other.txt"))
    assert "encrypted to another public key" in wrong["cause"]
    backed.do("restore", "--secrets", "--identity", str(backed.folder / "key.txt"))
    assert backed.secret(f"{backed.release}-keys") == kept
    assert backed.do("deploy")["outputs"]["verified"] is True


@LONG
def test_what_was_deleted_goes_for_good_and_nothing_else(backed: Backed) -> None:
    before = backed.read()
    shown = backed.do("gc", "--days", "0", "--dry-run")["outputs"]
    assert (shown["deleted"], shown["experiments"]) == (False, 1)
    assert backed.read() == before
    assert backed.do("gc", "--days", "0", "--yes")["outputs"]["deleted"] is True
    after = backed.read()
    kept = {run: found for run, found in before["runs"].items() if found["info"][2] == "active"}
    assert after["runs"] == kept
    assert after["models"] == before["models"]


@LONG
def test_a_backup_that_was_tampered_with_is_refused(backed: Backed) -> None:
    place = f"/mlflow/backups/{backed.namespace}/{backed.release}/sets"
    identity = backed.do("backup")["outputs"]["id"]
    script = f"cd {place}/{identity} && printf x >> database/000000.part"
    backed.kubectl("apply", "-f", "-", stdin=_pod(backed, script))
    backed.kubectl("wait", "pod/tamper", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    refused = backed.refusal("restore", identity, "--yes")
    assert refused["code"] == "NML431"
    assert "truncated" in refused["cause"]
    assert backed.do("restore", "--drill", backed.do("backup", "list")["outputs"]["backups"][-1]["id"])["outputs"]


def _pod(backed: Backed, script: str) -> str:
    """A pod that changes a file among the backups."""
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: tamper}}
spec:
  restartPolicy: Never
  securityContext: {{runAsUser: 10001, runAsNonRoot: true, fsGroup: 10001}}
  containers:
    - name: tamper
      image: docker.io/library/postgres:17.12
      command: [sh, -c, "{script}"]
      volumeMounts: [{{name: backups, mountPath: /mlflow/backups}}]
  volumes: [{{name: backups, persistentVolumeClaim: {{claimName: {backed.release}-backups}}}}]
"""
