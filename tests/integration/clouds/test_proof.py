"""Other people's modules, with their own clients, find what our role says that it created."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from . import gcp_lab as google
from .aws_lab import NAME, REGION
from .lab import Lab
from .play import ROOT, environment

AMAZON: dict[str, dict[str, Any]] = {
    "bucket": {
        "amazon.aws.s3_bucket_info": {
            "name": NAME,
            "bucket_facts": {
                "bucket_encryption": True,
                "bucket_location": True,
                "bucket_ownership_controls": True,
                "bucket_policy": True,
                "bucket_tagging": True,
                "bucket_versioning": True,
                "public_access_block": True,
            },
            "transform_location": True,
        }
    },
    "role": {"amazon.aws.iam_role_info": {"name": NAME}},
    "key": {"amazon.aws.kms_key_info": {"alias": NAME, "pending_deletion": False}},
}
GOOGLE: dict[str, dict[str, Any]] = {
    "accounts": {"google.cloud.gcp_iam_service_account_info": {"project": google.CLOUD_PROJECT}}
}


def read(lab: Lab, modules: dict[str, dict[str, Any]], tmp_path: Path) -> dict[str, Any]:
    """Run a collection's modules against the simulated account, and return what each says."""
    tasks = [{**task, "register": name, "name": f"Read the {name}"} for name, task in modules.items()]
    report = {"ansible.builtin.set_stats": {"data": {name: f"{{{{ {name} }}}}" for name in modules}}}
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "module_defaults": {"group/aws": {"region": REGION}},
        "tasks": [*tasks, report],
    }
    path = tmp_path / "play.yml"
    path.write_text(json.dumps([play]))
    done = subprocess.run(
        ["ansible-playbook", str(path)],
        cwd=ROOT,
        env=environment({**lab.environment(), **lab.extra}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    stats: dict[str, Any] = json.loads(done.stdout[done.stdout.index('{"custom_stats"') :])["global_custom_stats"]
    return stats


def test_amazons_own_modules_find_what_the_role_created(aws_lab: Lab, tmp_path: Path) -> None:
    aws_lab.converge()
    found = read(aws_lab, AMAZON, tmp_path)
    (bucket,) = found["bucket"]["buckets"]
    (role,) = found["role"]["iam_roles"]
    (key,) = found["key"]["kms_keys"]
    assert bucket["bucket_location"]["LocationConstraint"] == REGION
    assert bucket["bucket_versioning"]["Status"] == "Enabled"
    assert all(bucket["public_access_block"]["PublicAccessBlockConfiguration"].values())
    rule = bucket["bucket_encryption"]["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == key["key_arn"]
    assert role["arn"] == aws_lab.storage["service_account_annotations"]["eks.amazonaws.com/role-arn"]
    assert "nebari-mlflow-owner" in role["tags"]
    assert key["enable_key_rotation"] is True


def test_googles_own_modules_find_what_the_role_created(gcp_lab: Lab, tmp_path: Path) -> None:
    gcp_lab.converge()
    found = read(gcp_lab, GOOGLE, tmp_path)
    ours = [each for each in found["accounts"]["resources"] if each["email"] == google.EMAIL]
    assert [each["email"] for each in ours] == list(gcp_lab.storage["service_account_annotations"].values())
    assert "nebari-mlflow" in ours[0]["description"]
