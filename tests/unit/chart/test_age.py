"""What the chart encrypts to age's public keys, age's own implementation reads, and the other way about."""

from __future__ import annotations

import pyrage
import pytest
from nebari_mlflow_backup import age

SIZES = [0, 1, age.CHUNK - 1, age.CHUNK, age.CHUNK + 1, 3 * age.CHUNK]


@pytest.mark.parametrize("size", SIZES)
def test_the_two_implementations_read_each_other(size: int) -> None:
    identity, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    recipients = [str(other.to_public()), str(identity.to_public())]
    assert pyrage.decrypt(age.encrypt(content, recipients), [identity]) == content
    written = pyrage.encrypt(content, [other.to_public(), identity.to_public()])
    assert age.decrypt(written, f"# created: today\n{identity}\n") == content


def test_another_private_key_opens_nothing() -> None:
    identity, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    sealed = age.encrypt(b"secret", [str(identity.to_public())])
    with pytest.raises(age.AgeError, match="encrypted to another public key"):
        age.decrypt(sealed, str(other))


def test_a_file_that_was_changed_or_cut_off_is_refused() -> None:
    identity = pyrage.x25519.Identity.generate()
    sealed = age.encrypt(b"s" * (age.CHUNK + 10), [str(identity.to_public())])
    for broken in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[: -10 - age.TAG], b"nothing"):
        with pytest.raises(age.AgeError):
            age.decrypt(broken, str(identity))


@pytest.mark.parametrize("text", ["", "age1", "age1qqqq", "ssh-ed25519 AAAA", "AGE-SECRET-KEY-1QQQ"])
def test_what_is_not_a_public_key_is_refused_by_name(text: str) -> None:
    with pytest.raises(age.AgeError, match="not an age public key"):
        age.encrypt(b"", [text])


def test_a_mistyped_public_key_is_refused() -> None:
    key = str(pyrage.x25519.Identity.generate().to_public())
    wrong = key[:-1] + ("q" if key[-1] != "q" else "p")
    with pytest.raises(age.AgeError, match="not an age public key"):
        age.encrypt(b"", [wrong])


def test_no_error_shows_a_part_of_a_private_key() -> None:
    identity = str(pyrage.x25519.Identity.generate())
    with pytest.raises(age.AgeError) as caught:
        age.private_keys(identity[:-3])
    assert identity[16:30] not in str(caught.value)
