"""One set of options and variables reaches the cluster in every task of a play, as kubernetes.core names them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
import yaml
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.access import (
    ARGUMENTS,
    LEFT_OUT,
    NAME,
    VARIABLES,
    hide,
    same_for_kubernetes_core,
    settle,
)
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.connection import Connection, impersonating
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.kubeconfig import load

HOST = "https://api.example.org:6443"


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    names = ("test", "prod")
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "test",
                "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in names],
                "clusters": [
                    {"name": name, "cluster": {"server": f"http://{name}:1", "certificate-authority": "ca.crt"}}
                    for name in names
                ],
                "users": [{"name": name, "user": {"token": f"token of {name}"}} for name in names],
            }
        )
    )
    return path


def made(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    document = yaml.safe_load(Path(path).read_text())
    return document["clusters"][0]["cluster"], document["users"][0]["user"]


def test_kubernetes_core_gets_kubeconfig_and_user_it_cannot_find(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It prefers a pod's own service account to KUBECONFIG, and ignores a kubeconfig's `as`."""
    monkeypatch.setenv("KUBECONFIG", f"{kubeconfig}:{tmp_path}/none")
    assert same_for_kubernetes_core({}, {}) == {"kubeconfig": str(kubeconfig)}
    assert same_for_kubernetes_core({"context": "prod"}, {})["context"] == "prod"
    assert same_for_kubernetes_core({}, {"K8S_AUTH_CONTEXT": "prod"})["context"] == "prod"
    document = yaml.safe_load(kubeconfig.read_text())
    document["users"][0]["user"] |= {"as": "ann", "as-groups": ["one", "two"]}
    other = tmp_path / "other"
    other.write_text(yaml.safe_dump(document))
    for params, environ in (({"kubeconfig": str(other)}, {}), ({}, {"K8S_AUTH_KUBECONFIG": str(other)})):
        found = same_for_kubernetes_core(params, environ)
        assert found == {"kubeconfig": str(other), "impersonate_user": "ann", "impersonate_groups": ["one", "two"]}
    assert (
        same_for_kubernetes_core({"kubeconfig": str(other), "impersonate_user": "bob"}, {})["impersonate_user"] == "bob"
    )


def test_kubernetes_core_gets_helms_proxy_without_password(kubeconfig: Path) -> None:
    given = {"kubeconfig": str(kubeconfig)}
    document = yaml.safe_load(kubeconfig.read_text())
    document["clusters"][0]["cluster"] = {"server": "https://api.example.org", "proxy-url": "http://proxy:3128"}
    kubeconfig.write_text(yaml.safe_dump(document))
    assert same_for_kubernetes_core(given, {})["proxy"] == "http://proxy:3128"
    assert "proxy" not in same_for_kubernetes_core(given, {"K8S_AUTH_PROXY": "http://other:1"})
    assert same_for_kubernetes_core(given, {"SSL_CERT_FILE": "/ca"})["ca_cert"] == "/ca"
    assert same_for_kubernetes_core({"host": HOST}, {"HTTPS_PROXY": "http://p:1"}) == {"proxy": "http://p:1"}
    with pytest.raises(ReleaseError, match="K8S_AUTH_PROXY") as refused:
        same_for_kubernetes_core({"host": HOST}, {"HTTPS_PROXY": "http://ann:secret@p:1"})
    assert "secret" not in str(refused.value)


def test_a_host_or_a_pod_needs_no_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/none")
    assert same_for_kubernetes_core({}, {}) == {}
    assert same_for_kubernetes_core({"host": HOST, "api_key": "secret"}, {}) == {}
    assert same_for_kubernetes_core({"kubeconfig": {"users": [{"user": {"token": "secret"}}]}}, {}) == {}


def test_kubernetes_core_options_are_taken_unless_helm_lacks_them() -> None:
    assert ARGUMENTS.keys() | LEFT_OUT == AUTH_ARG_SPEC.keys()
    assert VARIABLES.keys() == ARGUMENTS.keys()
    assert VARIABLES["validate_certs"] == "K8S_AUTH_VERIFY_SSL"
    assert VARIABLES["ca_cert"] == "K8S_AUTH_SSL_CA_CERT"


@pytest.mark.parametrize(
    ("params", "environ", "expected"),
    [
        ({}, {}, ("", "")),
        ({"kubeconfig": "/a"}, {"K8S_AUTH_KUBECONFIG": "/b"}, ("/a", "")),
        ({}, {"K8S_AUTH_KUBECONFIG": "/b", "K8S_AUTH_CONTEXT": "prod"}, ("/b", "prod")),
        ({"context": "test"}, {"K8S_AUTH_CONTEXT": "prod"}, ("", "test")),
    ],
)
def test_kubeconfig_and_context_come_from_options_then_variables(
    params: dict[str, Any], environ: dict[str, str], expected: tuple[str, str]
) -> None:
    assert settle(params, environ) == expected


def test_a_host_and_a_token_are_enough() -> None:
    path, context = settle({}, {"K8S_AUTH_HOST": HOST, "K8S_AUTH_API_KEY": "t0ken"})
    assert (context, made(path)) == (NAME, ({"server": HOST}, {"token": "t0ken"}))


def test_what_is_made_is_in_memory_only() -> None:
    path, _ = settle({"host": HOST, "api_key": "t0ken"}, {})
    assert path.startswith("/proc/")
    assert Path(path).resolve() != Path(path)


def test_options_win_over_what_the_context_says(kubeconfig: Path) -> None:
    given = {"kubeconfig": str(kubeconfig), "context": "prod", "impersonate_user": "jane", "impersonate_groups": ["a"]}
    cluster, user = made(settle(given, {})[0])
    assert cluster == {"server": "http://prod:1", "certificate-authority": str(kubeconfig.parent / "ca.crt")}
    assert user == {"token": "token of prod", "as": "jane", "as-groups": ["a"]}


def test_another_login_replaces_the_contexts_own(kubeconfig: Path) -> None:
    given = {"kubeconfig": str(kubeconfig), "api_key": "other"}
    assert made(settle(given, {})[0])[1] == {"token": "other"}


@pytest.mark.parametrize(("text", "insecure"), [("no", True), ("false", True), ("true", False), ("1", False)])
def test_certificates_are_checked_unless_a_variable_says_no(kubeconfig: Path, text: str, insecure: bool) -> None:
    environ = {"K8S_AUTH_KUBECONFIG": str(kubeconfig), "K8S_AUTH_VERIFY_SSL": text}
    cluster, _ = made(settle({}, environ)[0])
    assert cluster["insecure-skip-tls-verify"] is insecure
    assert ("certificate-authority" in cluster) is not insecure


@pytest.mark.parametrize(("no_proxy", "used"), [("", True), ("example.org", False), ("other.org,.example.org", False)])
def test_proxy_is_used_unless_no_proxy_names_the_host(no_proxy: str, used: bool) -> None:
    given = {"host": HOST, "proxy": "http://proxy:3128", "no_proxy": no_proxy}
    assert ("proxy-url" in made(settle(given, {})[0])[0]) is used


def test_a_kubeconfig_may_be_a_mapping(kubeconfig: Path) -> None:
    path, context = settle({"kubeconfig": yaml.safe_load(kubeconfig.read_text())}, {})
    assert (context, load(path, "").server) == ("", "http://test:1")


def test_paths_are_shown_and_texts_of_mappings_hidden(kubeconfig: Path) -> None:
    shown = SimpleNamespace(params={"kubeconfig": str(kubeconfig)}, no_log_values=set())
    hidden = SimpleNamespace(params={"kubeconfig": yaml.safe_load(kubeconfig.read_text())}, no_log_values=set())
    for module in (shown, hidden):
        hide(module)
    assert shown.no_log_values == set()
    assert "token of prod" in hidden.no_log_values


def test_a_context_that_does_not_exist_is_refused(kubeconfig: Path) -> None:
    with pytest.raises(ReleaseError, match="'live' is not in the kubeconfig"):
        settle({"kubeconfig": str(kubeconfig), "context": "live", "impersonate_user": "jane"}, {})


def test_requests_are_made_as_the_user_that_the_kubeconfig_names() -> None:
    user = {"as": "jane", "as-uid": "7", "as-groups": ["team-a", "team-b"]}
    headers = urllib3.HTTPHeaderDict()
    impersonating(Connection("", None, lambda _: None), user).authorize(headers)
    assert headers["Impersonate-User"] == "jane"
    assert headers["Impersonate-Uid"] == "7"
    assert headers.getlist("Impersonate-Group") == ["team-a", "team-b"]
