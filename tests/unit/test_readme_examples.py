"""Every example of the roles' READMEs, run by Ansible. Those of the clouds run in tests/integration/clouds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, environment, printed

ROLES = ROOT / "collections/ansible_collections/nebari/mlflow/roles"
NOWHERE = {"mlflow_kubeconfig": "/nonexistent/kubeconfig"}
EXAMPLES = {role: printed(ROLES / role / "README.md") for role in ("adopt", "backup", "existing", "local", "server")}


def plays() -> list[dict[str, Any]]:
    """Return a play for each example. One of variables alone completes the role's first example."""
    found = []
    for role, examples in EXAMPLES.items():
        ((first,), *others) = examples
        tasks = [
            first,
            *({**first, "vars": {**first["vars"], **each}} for each in others if f"{role}_facts" not in each),
        ]
        for number, task in enumerate(tasks):
            stored = {"ansible.builtin.set_stats": {"data": {f"{role}_{number}": f"{{{{ {role}_storage }}}}"}}}
            told = {"ansible.builtin.set_stats": {"data": {f"{role}_{number}": "{{ ansible_failed_result.msg }}"}}}
            block = [task, *([stored] if role in ("existing", "local") else [])]
            given = {"mlflow_provider": "local", "local_storage": {"uri": "/mlflow/artifacts"}, **NOWHERE}
            found.append(
                {
                    "hosts": "localhost",
                    "connection": "local",
                    "gather_facts": False,
                    "vars": given,
                    "tasks": [{"block": block, "rescue": [told]}],
                }
            )
    return found


@pytest.fixture(scope="module")
def returned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("play") / "play.yml"
    path.write_text(json.dumps(plays()))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    done = subprocess.run(
        [program, str(path)], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    report = json.loads(done.stdout[done.stdout.index("{\n") :])
    assert done.returncode == 0, report
    stats: dict[str, Any] = report["global_custom_stats"]
    return stats


@pytest.mark.parametrize(
    ("example", "uri"),
    [
        ("local_0", "/mlflow/artifacts"),
        ("local_1", "s3://mlflow"),
        ("existing_0", "s3://our-bucket/mlflow"),
        ("existing_1", "gs://our-bucket/mlflow"),
    ],
)
def test_readme_example_of_a_storage_returns_it(returned: dict[str, Any], example: str, uri: str) -> None:
    assert returned[example]["uri"] == uri


@pytest.mark.parametrize("role", ["adopt", "backup", "server"])
def test_readme_example_is_accepted_up_to_the_cluster(returned: dict[str, Any], role: str) -> None:
    assert "/nonexistent/kubeconfig" in returned[f"{role}_0"]


def test_every_example_of_these_readmes_ran(returned: dict[str, Any]) -> None:
    assert {name.rpartition("_")[0] for name in returned} == set(EXAMPLES)
