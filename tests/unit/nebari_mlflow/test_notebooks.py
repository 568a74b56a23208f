"""Every notebook and every Dask pod gets the address, and what a person wrote stays."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest

from nebari_mlflow.plugin import notebooks

URI = "http://demo-mlflow-tracking.dev.svc:5000"
VARIABLES = {
    "MLFLOW_TRACKING_URI": URI,
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
}
OURS = {"configMapRef": {"name": "demo-mlflow-client", "optional": True}}


def config(overrides: dict[str, Any], **profile: Any) -> Any:
    return SimpleNamespace(
        mlflow=SimpleNamespace(access=SimpleNamespace(mode=profile.pop("mode", "open"))),
        project_name="demo",
        namespace="dev",
        jupyterhub=SimpleNamespace(overrides=overrides),
        profiles=SimpleNamespace(dask_worker={"Small": SimpleNamespace(**profile)}),
    )


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, VARIABLES),
        ({"singleuser": None}, VARIABLES),
        ({"singleuser": {"extraEnv": None}}, VARIABLES),
        ({"singleuser": {"extraEnv": {"A": "1"}}}, {"A": "1", **VARIABLES}),
        ({"singleuser": {"extraEnv": {"MLFLOW_TRACKING_URI": "mine"}}}, {"MLFLOW_TRACKING_URI": "mine"}),
        (
            {"singleuser": {"extraEnv": [{"name": "A", "value": "1"}]}},
            [{"name": "A", "value": "1"}, *({"name": name, "value": value} for name, value in VARIABLES.items())],
        ),
        (
            {"singleuser": {"extraEnv": [{"name": "MLFLOW_TRACKING_URI", "value": "mine"}]}},
            [{"name": "MLFLOW_TRACKING_URI", "value": "mine"}],
        ),
    ],
    ids=["nothing", "null", "null environment", "another plugin's", "by hand", "a list", "by hand in a list"],
)
def test_notebooks(given: dict[str, Any], wanted: Any) -> None:
    made = config(copy.deepcopy(given))
    notebooks.configure(made)
    once = copy.deepcopy(made.jupyterhub.overrides)
    notebooks.configure(made)
    assert made.jupyterhub.overrides == once
    assert once["singleuser"]["extraEnv"] == wanted


@pytest.mark.parametrize("field", notebooks.DASK_PODS)
def test_dask_pods_keep_their_own_sources_above_ours(field: str) -> None:
    theirs = {"secretRef": {"name": "s3-keys"}}
    made = config({}, **{field: {"envFrom": [theirs], "volumeMounts": []}})
    notebooks.configure(made)
    notebooks.configure(made)
    assert getattr(made.profiles.dask_worker["Small"], field) == {"envFrom": [OURS, theirs], "volumeMounts": []}


def test_stages_that_are_not_there_are_left_out() -> None:
    notebooks.configure(SimpleNamespace(project_name="demo", namespace="dev"))


def test_a_notebook_with_users_brings_its_own_token() -> None:
    made = config({}, mode="users")
    notebooks.configure(made)
    once = copy.deepcopy(made.jupyterhub.overrides)
    notebooks.configure(made)
    assert made.jupyterhub.overrides == once
    assert once["singleuser"]["extraEnv"] == {**VARIABLES, "MLFLOW_TRACKING_TOKEN": "$(JUPYTERHUB_API_TOKEN)"}
    assert once["hub"] == {
        "services": {"mlflow": {}},
        "loadRoles": {"mlflow": {"scopes": ["read:users"], "services": ["mlflow"]}},
    }


@pytest.mark.parametrize(
    ("uri", "brings_token"),
    [
        (URI, True),
        (f"{URI}/", True),
        ("http://demo-mlflow-tracking:5000", True),
        ("http://demo-mlflow-tracking.dev", True),
        ("http://demo-mlflow-tracking.dev.svc.cluster.local:5000", True),
        ("http://demo-mlflow-tracking.dev.svc.cluster.local.:5000", True),
        ("http://demo-mlflow-tracking.other.svc:5000", False),
        ("https://mlflow.example.org", False),
        ("databricks", False),
        ("", False),
    ],
)
def test_own_token_goes_to_the_own_server_alone(uri: str, brings_token: bool) -> None:
    """Also if someone wrote the server's address by hand; never to someone else's server."""
    made = config({"singleuser": {"extraEnv": {"MLFLOW_TRACKING_URI": uri}}}, mode="users")
    notebooks.configure(made)
    found = made.jupyterhub.overrides["singleuser"]["extraEnv"]
    assert found["MLFLOW_TRACKING_URI"] == uri
    assert ("MLFLOW_TRACKING_TOKEN" in found) is brings_token


def test_services_and_roles_of_the_hub_stay() -> None:
    hub: dict[str, Any] = {
        "services": {"mine": {"apiToken": None}},
        "loadRoles": {"mlflow": {"scopes": []}},
        "baseUrl": "/",
    }
    made = config({"hub": copy.deepcopy(hub)}, mode="users")
    notebooks.configure(made)
    found = made.jupyterhub.overrides["hub"]
    assert found == {**hub, "services": {**hub["services"], "mlflow": {}}}
