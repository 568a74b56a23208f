"""Bad kubeconfigs, and which of the good ones need the kubernetes library."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.connection import connect, is_plain
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.kubeconfig import load

CONTEXT = {"name": "a", "context": {"cluster": "c", "user": "u"}}


def config(**changes: Any) -> dict[str, Any]:
    return {
        "current-context": "a",
        "contexts": [CONTEXT],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        **changes,
    }


@pytest.mark.parametrize(
    ("content", "context", "words"),
    [
        ("a: b\n c: d", "", "is not YAML (line 2)"),
        ("- a", "", "no list `contexts`"),
        (config(contexts="none"), "", "no list `contexts`"),
        (config(), "b", "'b' is not in the kubeconfig"),
        (config(), "b", "It has: a."),
        (config(**{"current-context": ""}), "", "no usable current-context"),
        (config(clusters=[]), "", "names the cluster 'c', but does not have it"),
        (config(users=None), "", "names the user 'u', but does not have it"),
        (config(clusters=[{"name": "c", "cluster": {}}]), "", "has no `server`"),
    ],
)
def test_bad_kubeconfigs(tmp_path: Path, content: Any, context: str, words: str) -> None:
    path = tmp_path / "config"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    with pytest.raises(ReleaseError) as caught:
        load(str(path), context)
    assert words in str(caught.value)
    assert str(path) in str(caught.value) or "server" in words


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="does not exist"):
        load(str(tmp_path / "none"), "")
    with pytest.raises(ReleaseError, match="is a directory"):
        load(str(tmp_path), "")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    path.write_text("{}")

    def refuse(*_: Any, **__: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(ReleaseError, match="may not be read by this user"):
        load(str(path), "")


@pytest.mark.parametrize(
    ("user", "plain"),
    [
        ({"token": "t"}, True),
        ({"client-certificate-data": "x", "client-key-data": "y"}, True),
        ({"exec": {"command": "aws"}}, False),
        ({"auth-provider": {"name": "oidc"}}, False),
        ({"tokenFile": "/t"}, False),
        ({"token": "t", "as": "someone"}, True),
    ],
)
def test_which_credentials_are_plain(user: dict[str, Any], plain: bool) -> None:
    assert is_plain({"server": "https://x"}, user) is plain


def test_headers(tmp_path: Path) -> None:
    def headers(user: dict[str, Any]) -> dict[str, str]:
        found = urllib3.HTTPHeaderDict()
        connect({"server": "http://127.0.0.1:1/"}, user, tmp_path).authorize(found)
        return dict(found)

    assert headers({"token": "t"}) == {"Authorization": "Bearer t"}
    assert headers({"username": "u", "password": "p"}) == {
        "Authorization": f"Basic {base64.b64encode(b'u:p').decode()}"
    }
    assert headers({}) == {}


def test_a_bad_certificate_is_named(tmp_path: Path) -> None:
    cluster = {"server": "https://x", "certificate-authority": "missing.crt"}
    with pytest.raises(ReleaseError, match=r"`certificate-authority` cannot be used .*missing\.crt"):
        connect(cluster, {}, tmp_path)


def test_a_login_program_that_fails_is_told(tmp_path: Path) -> None:
    login = {"apiVersion": "client.authentication.k8s.io/v1", "command": "false", "interactiveMode": "Never"}
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config(users=[{"name": "u", "user": {"exec": login}}])))
    with pytest.raises(ReleaseError, match="login program failed"):
        load(str(path), "")
