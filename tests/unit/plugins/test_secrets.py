"""Generated values."""

from __future__ import annotations

import base64
import string

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.exceptions import ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.options import KINDS, Options, SecretSpec
from ansible_collections.nebari.mlflow.plugins.module_utils.secrets import (
    GENERATORS,
    alphanumeric,
    before_and_after,
    fernet,
    missing,
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
    assert missing(SPEC, {"data": {"a": "", "f": "eA==", "other": ""}}) == []


def test_a_diff_has_no_values() -> None:
    before, after = before_and_after(SPEC, {"data": {"a": "c2VjcmV0"}})
    assert before == {"a": "(hidden)"}
    assert after == {"a": "(hidden)", "f": "(hidden)"}


def test_kinds() -> None:
    assert set(GENERATORS) == KINDS
    options = {"name": "one", "namespace": "dev", "secrets": [{"name": "keys", "keys": {"a": "hex"}}]}
    with pytest.raises(ReleaseError, match=r"'hex' in 'keys' .* Use one of: alphanumeric, fernet"):
        Options.from_params(options)
