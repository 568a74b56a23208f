"""A secret that is given as text is refused at every door before anything runs, and is printed by none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import play

CLI = str(Path(sys.executable).with_name("nebari-mlflow"))
PLACES: dict[str, tuple[dict[str, Any], str]] = {
    "a variable of the server": (
        {"overrides": {"tracking": {"extraEnvVars": [{"name": "OPENAI_KEY", "value": "CANARY-text"}]}}},
        "overrides.tracking.extraEnvVars[0] gives OPENAI_KEY as text",
    ),
    "the queue's URL": (
        {
            "overrides": {
                "tracking": {
                    "extraEnvVars": [
                        {"name": "MLFLOW_SERVER_JOB_HUEY_REDIS_URL", "value": "redis://:CANARY-text@redis"}
                    ]
                }
            }
        },
        "overrides.tracking.extraEnvVars[0] gives MLFLOW_SERVER_JOB_HUEY_REDIS_URL as text",
    ),
    "an argument": (
        {"overrides": {"tracking": {"extraArgs": ["--x=postgresql://u:CANARY-text@h/d"]}}},
        "overrides.tracking.extraArgs[0] holds a secret",
    ),
    "a store's environment": (
        {"storage": {"uri": "s3://bucket", "env": {"SMTP_PASS": "CANARY-text"}}},
        "storage.env.SMTP_PASS looks like a secret",
    ),
    "a store's address": (
        {"local": {"s3": {"endpoint": "http://u:CANARY-text@minio", "bucket": "b", "secret": "s"}}},
        "s3.endpoint holds a secret",
    ),
}


def variables(block: dict[str, Any]) -> dict[str, Any]:
    """The block as variables of the playbook."""
    given: dict[str, Any] = {"mlflow_provider": "local", "mlflow_project_name": "demo", "mlflow_namespace": "dev"}
    given["mlflow_kubeconfig"] = "/nonexistent/kubeconfig"
    for key, value in block.items():
        given |= {"mlflow_local_s3": value["s3"]} if key == "local" else {f"mlflow_{key}": value}
    return given


@pytest.mark.parametrize("place", PLACES)
def test_nebari_s_configuration_may_hold_no_secret(place: str, tmp_path: Path) -> None:
    block, sentence = PLACES[place]
    path = tmp_path / "nebari-config.yaml"
    path.write_text(yaml.safe_dump({"project_name": "demo", "provider": "local", "mlflow": block}))
    done = subprocess.run([CLI, "plan", "-c", str(path), "--json"], capture_output=True, text=True, check=False)
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "NML102"
    assert sentence in error["cause"]
    assert "valueFrom.secretKeyRef" in error["cause"]
    assert "CANARY" not in done.stdout + done.stderr


@pytest.mark.parametrize("place", PLACES)
def test_a_playbook_s_variables_may_hold_no_secret(place: str) -> None:
    block, sentence = PLACES[place]
    played = play("mlflow", "--diff", **variables(block))
    assert played.returncode != 0
    assert played.changed == 0
    assert sentence in played.failure
    assert "valueFrom.secretKeyRef" in played.failure
    assert "CANARY" not in played.failure
    tasks = [task for play_ in played.report["plays"] for task in play_["tasks"]]
    results = [result for task in tasks for result in task["hosts"].values()]
    assert "CANARY" not in json.dumps(results)
