"""A release of another chart whose MLflow is years older is taken over whole: its schema is brought up on the way."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration import old_mlflow, test_adopt
from tests.integration.test_adopt import NAMESPACE, OLD_STORE, OLD_URI, SEED, adopt
from tests.support import ROOT, kubectl, play, run_pod, stores

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get("NEBARI_MLFLOW_CAMPAIGN"), reason="long; `make campaign` runs it"),
]


@pytest.fixture(params=["2.22.1", "3.5.1"])
def before(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """An old release, filled and read by the MLflow that it has."""
    image = old_mlflow.image(request.param)
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    chart = str(ROOT / "tests/integration/charts/peer")
    values = f"real=true,minio.enabled=true,minio.image={stores()}"
    install = ["helm", "install", "old-mlflow", chart, "-n", NAMESPACE, "--create-namespace", "--wait", "--timeout=15m"]
    subprocess.run([*install, "--set", values], check=True, capture_output=True)
    seed = f"import os; os.chdir('/tmp')\n{SEED}"
    run_pod(NAMESPACE, "seed", seed, timeout=420, image=image, MLFLOW_TRACKING_URI=OLD_URI, **OLD_STORE)
    yield test_adopt.read(OLD_URI, image)
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def test_an_older_mlflows_release_is_taken_over_whole(before: dict[str, Any]) -> None:
    done = adopt()
    assert done.returncode == 0, done.failure
    assert done.mlflow["verified"]
    assert done.mlflow["adopted"]["different"] == []
    assert done.mlflow["adopted"]["tables"]["runs"]["new"]["rows"] == 9
    assert test_adopt.read(f"http://old-mlflow-tracking.{NAMESPACE}.svc:5000") == before
    again = play("mlflow", **test_adopt.INPUTS)
    assert again.returncode == 0, again.failure
    assert again.changed == 0
