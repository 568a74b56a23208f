"""Bad input gets one sentence that names the key, the value and what is allowed, before anything is touched.

No cluster is needed: KUBECONFIG points to a file that does not exist, so a test fails if one is asked.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import ROOT, environment, play

GOOD = {
    "mlflow_provider": "local",
    "mlflow_project_name": "demo",
    "mlflow_namespace": "dev",
    "mlflow_kubeconfig": "/nonexistent/kubeconfig",
}

CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an unknown provider": (
        {"mlflow_provider": "locl"},
        ["mlflow_provider", "azure, gcp, aws, local, existing", "got: locl"],
    ),
    "a misspelt variable": ({"mlflow_domian": "x.org"}, ["mlflow_domian", "did you mean mlflow_domain?"]),
    "a misspelt Helm value": (
        {"mlflow_overrides": {"tracking": {"resorces": {}}}},
        ["mlflow_overrides.tracking.resorces", "did you mean resources?"],
    ),
    "overrides that are no mapping": ({"mlflow_overrides": "tracking"}, ["mlflow_overrides", "JSON"]),
    "overrides as JSON text with a misspelt value": (
        {"mlflow_overrides": '{"tracking": {"resorces": {}}}'},
        ["mlflow_overrides.tracking.resorces", "did you mean resources?"],
    ),
    "no replica": ({"mlflow_replicas": 0}, ["mlflow_replicas is 0", "1 to 32"]),
    "too many replicas": ({"mlflow_replicas": 33}, ["mlflow_replicas is 33", "1 to 32"]),
    "a timeout that is too short": ({"mlflow_timeout": 5}, ["mlflow_timeout is 5", "30 to 7200"]),
    "a storage that the provider would ignore": (
        {"mlflow_storage": {"uri": "s3://bucket"}},
        ["mlflow_storage", "mlflow_provider=existing"],
    ),
    "empty overrides, and then a missing kubeconfig": ({"mlflow_overrides": None}, ["/nonexistent/kubeconfig"]),
    "a store without keys, and then a missing kubeconfig": (
        {"mlflow_provider": "existing", "mlflow_storage": {"uri": "s3://bucket/path"}},
        ["/nonexistent/kubeconfig"],
    ),
    "data to delete by a deploy": ({"mlflow_delete_data": "dmeo"}, ["mlflow_delete_data", '"dmeo"']),
    "a project name that no release can have": (
        {"mlflow_project_name": "p" * 50},
        ["project_name", "p" * 50, "53 characters", "at most 34"],
    ),
    "a namespace with capitals": ({"mlflow_namespace": "Dev"}, ["namespace", '"Dev"', "lower-case"]),
    "a domain with a scheme": ({"mlflow_domain": "https://x.org"}, ["domain", "https://x.org", "without scheme"]),
    "a domain with a port": ({"mlflow_domain": "x.org:8443"}, ["domain", '"x.org:8443"', "without scheme, port"]),
    "a domain in capitals": ({"mlflow_domain": "MLflow.Example.org"}, ["domain", '"MLflow.Example.org"', "lower-case"]),
    "a domain that is an IPv6 address": ({"mlflow_domain": "[::1]"}, ["domain", '"[::1]"', "a host name"]),
    "a prefix without a slash": (
        {"mlflow_route": {"type": "traefik", "path": "mlflow"}},
        ["mlflow_route.path", '"mlflow"', "such as /mlflow"],
    ),
    "a prefix with a slash at its end": (
        {"mlflow_overrides": {"route": {"path": "/team/mlflow/"}}},
        ["mlflow_overrides.route.path", '"/team/mlflow/"', "none at its end"],
    ),
    "a prefix with two slashes": ({"mlflow_route": {"path": "//mlflow"}}, ["mlflow_route.path", '"//mlflow"']),
    "a version below the floor": ({"mlflow_version": "3.3.2"}, ["3.3.2", "3.17"]),
    "an image tag below the floor": ({"mlflow_overrides": {"image": {"tag": "v3.3.2-full"}}}, ["3.3.2", "3.17"]),
    "a version that is an image's tag": (
        {"mlflow_version": "3.17.2-full"},
        ['"3.17.2-full"', "such as 3.17.2", "-full"],
    ),
    "a version with a v": ({"mlflow_version": "v3.17.2"}, ['"v3.17.2"', "such as 3.17.2", "mlflow_overrides"]),
    "a version that is no number": ({"mlflow_version": "latest"}, ['"latest"', "such as 3.17.2"]),
    "a version of two numbers": ({"mlflow_version": 3.17}, ["mlflow_version is", "such as 3.17.2"]),
    "a registry with a scheme": (
        {"mlflow_image_registry": "https://mirror.example.org/hub/"},
        ["mlflow_image_registry", "https://mirror.example.org/hub/", "such as mirror.example.org/hub."],
    ),
    "a registry with a slash at its end": (
        {"mlflow_image_registry": "mirror.example.org:5000/"},
        ["mlflow_image_registry", "such as mirror.example.org:5000."],
    ),
    "a volume size that is no quantity": ({"mlflow_local_size": "20 gigabytes"}, ["mlflow_local_size", "20Gi"]),
    "a store without its bucket": (
        {"mlflow_local_s3": {"endpoint": "http://s3", "secret": "s"}},
        ["mlflow_local_s3", "bucket"],
    ),
    "an existing store that is not given": ({"mlflow_provider": "existing"}, ["mlflow_storage", "uri"]),
    "a database without its Secret": ({"mlflow_database": {"key": "uri"}}, ["mlflow_database", "secret"]),
    "a source with a login in its address": (
        {"mlflow_adopt_from": {"url": "https://a-token@other.example.org"}},
        ["mlflow_adopt_from.url", "Secret or a file"],
    ),
    "a kubeconfig that is missing": ({}, ["/nonexistent/kubeconfig"]),
    "a helm that is missing": ({"mlflow_helm": "/nonexistent/helm"}, ["/nonexistent/helm", "3.15"]),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_its_name_and_what_is_allowed(case: str) -> None:
    given, words = CASES[case]
    played = play("mlflow", **{**GOOD, **given})
    assert played.returncode != 0
    assert played.changed == 0
    assert [word for word in words if word not in played.failure] == [], played.failure


def test_a_missing_provider_is_named() -> None:
    played = play("mlflow", **{key: value for key, value in GOOD.items() if key != "mlflow_provider"})
    assert played.returncode != 0
    assert "mlflow_provider" in played.failure


def test_an_inventory_gives_inputs_and_its_other_variables_change_nothing(tmp_path: Path) -> None:
    """`aws_region` is one of the most common variables of inventories; it is not ours."""
    inventory = tmp_path / "inventory.yml"
    region = {"mlflow_aws_region": "nowhere", "aws_region": "us-east-1"}
    issuer = {"mlflow_aws_oidc_issuer_url": "https://issuer.example.org"}
    given = {**GOOD, "mlflow_provider": "aws", **region, **issuer}
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"localhost": given}}}))
    book = tmp_path / "play.yml"
    roles = ["nebari.mlflow.aws"]
    book.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "roles": roles}]))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    line = [program, "-i", str(inventory), str(book)]
    done = subprocess.run(line, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert 'mlflow_aws_region is \\"nowhere\\"' in done.stdout


def test_deleting_data_wants_the_name_of_the_project() -> None:
    played = play("destroy", **GOOD, mlflow_delete_data="dmeo")
    assert played.returncode != 0
    assert '"dmeo"' in played.failure
    assert "mlflow_delete_data=demo" in played.failure
