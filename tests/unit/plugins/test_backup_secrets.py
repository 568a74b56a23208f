"""Secrets of a backup are decrypted where the private key is, and a wrong key is told without showing anything."""

from __future__ import annotations

import base64
import json

import pyrage
import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.nebari.mlflow.plugins.filter.backups import age_refusal, age_secrets

SECRETS = {"keys": {"MLFLOW_CRYPTO_KEK_PASSPHRASE": "hidden"}}
KEY, OTHER = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
ENCRYPTED = base64.b64encode(pyrage.encrypt(json.dumps(SECRETS).encode(), [KEY.to_public()])).decode()


def test_the_right_key_opens_them() -> None:
    assert age_refusal(ENCRYPTED, f"# of a person\n{KEY}\n") == ""
    assert age_secrets(ENCRYPTED, str(KEY)) == SECRETS


@pytest.mark.parametrize(
    ("identities", "words"),
    [(str(OTHER), "encrypted to another public key"), ("", "Fix: give the identity file"), ("no key", "Fix: give")],
    ids=["another key", "an empty file", "no key"],
)
def test_a_key_that_does_not_open_them_is_told(identities: str, words: str) -> None:
    refusal = age_refusal(ENCRYPTED, identities)
    assert words in refusal
    assert str(KEY) not in refusal
    assert "hidden" not in refusal
    with pytest.raises(AnsibleFilterError, match="identity file"):
        age_secrets(ENCRYPTED, identities)
