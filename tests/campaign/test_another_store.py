"""The steps of "Change the artifact store", on the cluster: a checker compares all that a client can read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from tests.integration.backup.support import Backed
from tests.integration.store import BUCKET, give_keys, run_store
from tests.support import kubectl

pytestmark = pytest.mark.cluster


def test_a_backup_takes_the_artifacts_into_another_store(tmp_path: Path) -> None:
    namespace, place = f"another-store-{os.getpid()}", f"another-store-s3-{os.getpid()}"
    project = Backed(tmp_path, namespace, os.environ["KUBECONFIG"])
    try:
        kubectl("create", "namespace", place)
        run_store(place)
        project.configure(destination="/mlflow/backups")
        project.do("deploy")
        project.write("before")
        before = project.read()
        assert len(before["runs"]) == 6
        project.do("backup", "--artifacts", "copy")
        give_keys(namespace, "store-keys")
        variables = yaml.safe_load((tmp_path / "vars.yml").read_text())
        s3 = {"endpoint": f"http://store.{place}.svc", "bucket": BUCKET, "secret": "store-keys"}
        (tmp_path / "vars.yml").write_text(yaml.safe_dump({**variables, "mlflow_local_s3": s3}))
        planned = project.run("plan")
        assert planned.returncode == 2, planned.stderr
        assert "changes from /mlflow/artifacts to s3://artifacts" in " ".join(planned.stdout.split())
        project.do("deploy")
        assert project.read() != before
        assert project.do("restore", "--yes")["outputs"]["artifacts"]["restored"] > 5
        assert project.read() == before
        project.do("restore", "--discard", "--yes")
        assert project.read() == before
    finally:
        kubectl("delete", "namespace", namespace, place, "--ignore-not-found", "--wait=false")
