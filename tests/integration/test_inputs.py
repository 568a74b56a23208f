"""Bad input gets one sentence that names the key, the value and what is allowed, before anything is touched.

No cluster is needed: KUBECONFIG points to a file that does not exist, so a test fails if one is asked.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import play

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
    "overrides that are no mapping": ({"mlflow_overrides": "tracking"}, ["mlflow_overrides"]),
    "a project name that no release can have": (
        {"mlflow_project_name": "p" * 50},
        ["project_name", "p" * 50, "53 characters", "at most 34"],
    ),
    "a namespace with capitals": ({"mlflow_namespace": "Dev"}, ["namespace", '"Dev"', "lower-case"]),
    "a domain with a scheme": ({"mlflow_domain": "https://x.org"}, ["domain", "https://x.org", "without scheme"]),
    "a version below the floor": ({"mlflow_version": "3.3.2"}, ["3.3.2", "3.17"]),
    "an image tag below the floor": ({"mlflow_overrides": {"image": {"tag": "v3.3.2-full"}}}, ["3.3.2", "3.17"]),
    "a volume size that is no quantity": ({"mlflow_local_size": "20 gigabytes"}, ["mlflow_local_size", "20Gi"]),
    "a store without its bucket": (
        {"mlflow_local_s3": {"endpoint": "http://s3", "secret": "s"}},
        ["mlflow_local_s3", "bucket"],
    ),
    "an existing store that is not given": ({"mlflow_provider": "existing"}, ["mlflow_storage", "uri"]),
    "a database without its Secret": ({"mlflow_database": {"key": "uri"}}, ["mlflow_database", "secret"]),
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


@pytest.mark.parametrize("name", ["mlflow_provider", "mlflow_project_name", "mlflow_namespace"])
def test_a_missing_input_is_named(name: str) -> None:
    played = play("mlflow", **{key: value for key, value in GOOD.items() if key != name})
    assert played.returncode != 0
    assert name.removeprefix("mlflow_") in played.failure


def test_deleting_data_wants_the_name_of_the_project() -> None:
    played = play("destroy", **GOOD, mlflow_delete_data="dmeo")
    assert played.returncode != 0
    assert '"dmeo"' in played.failure
    assert "delete_data=demo" in played.failure
