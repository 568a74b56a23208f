"""What the roles without a cloud return, run by Ansible: the storage in the shape that the server takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, environment

GIVEN = {
    "uri": "gs://bucket/path",
    "env": {"A": "b"},
    "secret": "",
    "service_account_annotations": {"iam.gke.io/gcp-service-account": "m@p.iam"},
    "pod_labels": {"a": "b"},
    "volume": {},
    "network": {"metadata": [{"cidr": "169.254.169.252/32", "port": 988}]},
}
STORE = {"endpoint": "http://s3:9000", "bucket": "b", "prefix": "deep/er", "secret": "keys"}
PLAY = [
    {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"mlflow_provider": "local"},
        "tasks": [
            {"ansible.builtin.include_role": {"name": "nebari.mlflow.local"}, "vars": {"mlflow_local_size": "100Gi"}},
            {"ansible.builtin.set_fact": {"volume": "{{ local_storage }}"}},
            {
                "ansible.builtin.include_role": {"name": "nebari.mlflow.local"},
                "vars": {
                    "mlflow_local_s3": {
                        "endpoint": "http://s3:9000",
                        "bucket": "b",
                        "prefix": "deep/er",
                        "secret": "keys",
                    }
                },
            },
            {"ansible.builtin.set_fact": {"s3": "{{ local_storage }}"}},
            {
                "ansible.builtin.include_role": {"name": "nebari.mlflow.existing"},
                "vars": {"mlflow_provider": "existing", "mlflow_storage": GIVEN},
            },
            {
                "ansible.builtin.set_stats": {
                    "data": {"volume": "{{ volume }}", "s3": "{{ s3 }}", "existing": "{{ existing_storage }}"}
                }
            },
        ],
    }
]


@pytest.fixture(scope="module")
def returned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("play") / "play.yml"
    path.write_text(json.dumps(PLAY))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    done = subprocess.run(
        [program, str(path)], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    report = json.loads(done.stdout[done.stdout.index("{\n") :])
    assert done.returncode == 0, report
    stats: dict[str, Any] = report["global_custom_stats"]
    return stats


def test_a_volume(returned: dict[str, Any]) -> None:
    assert returned["volume"] == {
        "uri": "/mlflow/artifacts",
        "env": {},
        "secret": "",
        "service_account_annotations": {},
        "pod_labels": {},
        "volume": {"size": "100Gi", "storage_class": "", "access_mode": "ReadWriteOnce"},
        "network": {"metadata": []},
    }


def test_an_s3_compatible_store(returned: dict[str, Any]) -> None:
    assert returned["s3"] == {
        "uri": "s3://b/deep/er",
        "env": {"MLFLOW_S3_ENDPOINT_URL": "http://s3:9000", "AWS_DEFAULT_REGION": "us-east-1"},
        "secret": "keys",
        "service_account_annotations": {},
        "pod_labels": {},
        "volume": {},
        "network": {"metadata": []},
    }


def test_a_store_of_one_s_own_comes_back_unchanged(returned: dict[str, Any]) -> None:
    assert returned["existing"] == GIVEN
