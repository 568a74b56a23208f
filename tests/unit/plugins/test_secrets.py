"""Generated values."""

from __future__ import annotations

import base64
import string
from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.release.options import KINDS, Options, SecretSpec
from ansible_collections.nebari.mlflow.plugins.module_utils.release.secrets import (
    GENERATORS,
    alphanumeric,
    before_and_after,
    fernet,
    lost,
    missing,
    refuse_foreign,
    refuse_loss,
)

SPEC = SecretSpec("keys", {"a": "alphanumeric", "f": "fernet"})


def test_alphanumeric_is_safe_everywhere() -> None:
    values = {alphanumeric() for _ in range(50)}
    assert len(values) == 50
    assert {len(value) for value in values} == {32}
    assert set("".join(values)) <= set(string.ascii_letters + string.digits)


def test_fernet_is_32_bytes() -> None:
    assert len(base64.urlsafe_b64decode(fernet())) == 32


def test_only_missing_keys_are_made() -> None:
    assert missing(SPEC, None) == ["a", "f"]
    assert missing(SPEC, {"data": {"a": "eA=="}}) == ["f"]
    assert missing(SPEC, {"data": {"a": "eA==", "f": "eA==", "other": ""}}) == []
    assert missing(SPEC, {"data": {"a": "", "f": "eA=="}}) == ["a"]  # an empty value opens nothing


FULL = {"a": "eA==", "f": "eA=="}
DATA = "PersistentVolumeClaim/data-db-0"


def secret(data: dict[str, str], **annotations: str) -> dict[str, Any]:
    marks = {key.replace("__", "/").replace("_", "."): value for key, value in annotations.items()}
    return {"metadata": {"name": "keys", "annotations": marks}, "data": data}


@pytest.mark.parametrize(
    ("live", "gone"),
    [
        (None, ["a", "f"]),
        (secret(FULL), []),
        (secret({"a": "eA=="}), ["f"]),
        (secret({"a": "eA==", "f": ""}), ["f"]),
        (secret({"a": "eA=="}, mlflow_nebari_dev__keys="a,f"), ["f"]),
        (secret({"a": "eA=="}, mlflow_nebari_dev__keys="a"), []),  # made by a version that had no f
        (secret({}, mlflow_nebari_dev__keys="a"), ["a"]),
    ],
)
def test_vanished_key_is_lost_but_a_new_one_is_not(live: Any, gone: list[str]) -> None:
    assert lost(SPEC, live) == gone


@pytest.mark.parametrize(
    ("live", "data", "new", "told"),
    [
        (None, DATA, (), f"Secret/keys in namespace dev is missing, but {DATA}"),
        (secret({"a": "eA=="}), DATA, (), f"Secret/keys in namespace dev lacks f, but {DATA}"),
        (secret({"a": "", "f": "eA=="}), DATA, (), f"Secret/keys in namespace dev lacks a, but {DATA}"),
        (None, "", (), ""),
        (secret({}), "", (), ""),
        (secret(FULL), DATA, (), ""),
        (None, DATA, ("keys",), ""),
        (secret({"a": "eA=="}), DATA, ("keys",), ""),
    ],
)
def test_a_lost_secret_is_refused_while_its_data_exist(live: Any, data: str, new: Any, told: str) -> None:
    options = Options("demo", "dev", secrets=(SPEC,), new_secrets=new)
    if not told:
        refuse_loss(SPEC, live, data, options)
        return
    with pytest.raises(ReleaseError) as raised:
        refuse_loss(SPEC, live, data, options)
    assert told in raised.value.cause
    assert "Nothing was changed." in raised.value.cause
    assert "kubectl --namespace dev apply -f BACKUP.yaml" in raised.value.fix
    assert "mlflow_new_secrets: [keys]" in raised.value.fix


def test_a_secret_of_a_helm_release_is_never_used() -> None:
    refuse_foreign(None, "dev")
    refuse_foreign(secret(FULL), "dev")
    with pytest.raises(ReleaseError, match=r"belongs to the Helm release 'old' of chart unknown"):
        refuse_foreign(secret(FULL, **{"meta_helm_sh__release-name": "old"}), "dev")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"new_secrets": ["others"]}, "others is not one of `secrets`"),
        ({"secrets": [{"name": "keys", "keys": {}, "opens": "volume"}]}, "'keys' opens 'volume'"),
        ({"secrets": [{"name": "keys", "keys": {}, "opens": "claim/"}]}, "'keys' opens 'claim/'"),
    ],
)
def test_options_about_lost_secrets_are_checked(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ReleaseError, match=told):
        Options.from_params({"name": "one", "namespace": "dev", **given})


def test_a_diff_has_no_values() -> None:
    before, after = before_and_after(SPEC, {"data": {"a": "c2VjcmV0"}})
    assert before == {"a": "(hidden)"}
    assert after == {"a": "(hidden)", "f": "(hidden)"}


def test_kinds() -> None:
    assert set(GENERATORS) == KINDS
    options = {"name": "one", "namespace": "dev", "secrets": [{"name": "keys", "keys": {"a": "hex"}}]}
    with pytest.raises(ReleaseError, match=r"'hex' in 'keys' .* Use one of: alphanumeric, fernet"):
        Options.from_params(options)
