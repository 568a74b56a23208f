"""Encrypt to age's public keys and decrypt with its private ones: age-encryption.org/v1, recipients of type X25519.

MLflow's image holds `cryptography` and no program that knows the format. What this writes, `age -d -i key.txt` reads.
"""

from __future__ import annotations

import base64
import hmac
import os
import re
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION = b"age-encryption.org/v1"
PUBLIC, PRIVATE = "age", "age-secret-key-"
CHUNK = 64 * 1024
TAG = 16
KEY = 32
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


class AgeError(ValueError):
    """A key or a file that is not age's; the message holds no part of a private key."""


def encrypt(content: bytes, recipients: Iterable[str]) -> bytes:
    """Encrypt so that the private key of any of the recipients opens it."""
    file_key = os.urandom(16)
    stanzas = b"".join(_stanza(file_key, public_key(recipient)) for recipient in recipients)
    if not stanzas:
        raise AgeError("There is no recipient to encrypt to.")
    header = VERSION + b"\n" + stanzas + b"---"
    nonce = os.urandom(16)
    cipher = ChaCha20Poly1305(_derive(file_key, nonce, b"payload"))
    pieces = [content[start : start + CHUNK] for start in range(0, len(content), CHUNK)] or [b""]
    sealed = [cipher.encrypt(_counter(n, n == len(pieces) - 1), piece, None) for n, piece in enumerate(pieces)]
    return header + b" " + _encode(_mac(file_key, header)) + b"\n" + nonce + b"".join(sealed)


def decrypt(content: bytes, identities: str) -> bytes:
    """Decrypt with the first private key in the text of an identity file that fits."""
    header, _, rest = content.partition(b"\n---")
    mac, _, body = rest.partition(b"\n")
    if not header.startswith(VERSION + b"\n") or len(body) < 16 + TAG:
        raise AgeError("This is not a file that age encrypted.")
    file_key = _file_key(header, private_keys(identities))
    if not hmac.compare_digest(mac.strip(), _encode(_mac(file_key, header + b"\n---"))):
        raise AgeError("The encrypted file was changed after it was written: its header does not authenticate.")
    cipher = ChaCha20Poly1305(_derive(file_key, body[:16], b"payload"))
    pieces = [body[start : start + CHUNK + TAG] for start in range(16, len(body), CHUNK + TAG)]
    try:
        return b"".join(
            cipher.decrypt(_counter(n, n == len(pieces) - 1), piece, None) for n, piece in enumerate(pieces)
        )
    except InvalidTag:
        raise AgeError("The encrypted file was changed or cut off after it was written.") from None


def public_key(text: str) -> bytes:
    """Read `age1...`."""
    try:
        kind, key = _bech32(text.strip())
    except ValueError:
        kind, key = "", b""
    if kind != PUBLIC or len(key) != KEY:
        raise AgeError(f"{text[:80]!r} is not an age public key, which begins with age1. `age-keygen` makes one.")
    return key


def private_keys(text: str) -> list[X25519PrivateKey]:
    """Read the lines of an identity file that hold a key."""
    found = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        try:
            kind, key = _bech32(line.strip().lower())
        except ValueError:
            kind, key = "", b""
        if kind != PRIVATE or len(key) != KEY:
            raise AgeError("A line of the identity file is not an age private key, which begins with AGE-SECRET-KEY-1.")
        found.append(X25519PrivateKey.from_private_bytes(key))
    if not found:
        raise AgeError("The identity file holds no private key.")
    return found


def _raw(key: X25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _stanza(file_key: bytes, recipient: bytes) -> bytes:
    ephemeral = X25519PrivateKey.generate()
    share = _raw(ephemeral.public_key())
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient))
    wrap = _derive(shared, share + recipient, VERSION + b"/X25519")
    body = ChaCha20Poly1305(wrap).encrypt(bytes(12), file_key, None)
    return b"-> X25519 " + _encode(share) + b"\n" + _encode(body) + b"\n"


def _file_key(header: bytes, identities: list[X25519PrivateKey]) -> bytes:
    """Open a stanza; the keys of other types that age knows are passed over."""
    for match in re.finditer(rb"-> X25519 ([A-Za-z0-9+/]{43})\n([A-Za-z0-9+/]{43})(?:\n|$)", header):
        share, body = (base64.b64decode(part + b"=") for part in match.groups())
        for identity in identities:
            shared = identity.exchange(X25519PublicKey.from_public_bytes(share))
            wrap = _derive(shared, share + _raw(identity.public_key()), VERSION + b"/X25519")
            try:
                return ChaCha20Poly1305(wrap).decrypt(bytes(12), body, None)
            except InvalidTag:
                continue
    raise AgeError("None of the private keys opens the file: it was encrypted to another public key.")


def _derive(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=info).derive(key)


def _mac(file_key: bytes, header: bytes) -> bytes:
    return hmac.digest(_derive(file_key, b"", b"header"), header, "sha256")


def _counter(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _encode(content: bytes) -> bytes:
    return base64.b64encode(content).rstrip(b"=")


def _bech32(text: str) -> tuple[str, bytes]:
    kind, separator, data = text.rpartition("1")
    values = [BECH32.index(letter) for letter in data]
    spread = [ord(letter) >> 5 for letter in kind] + [0] + [ord(letter) & 31 for letter in kind]
    if not separator or _checksum([*spread, *values]) != 1:
        raise ValueError
    bits = "".join(f"{value:05b}" for value in values[:-6])
    whole = len(bits) // 8 * 8
    return kind, bytes(int(bits[start : start + 8], 2) for start in range(0, whole, 8))


def _checksum(values: list[int]) -> int:
    found = 1
    for value in values:
        top = found >> 25
        found = (found & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(GENERATOR):
            found ^= generator if top >> bit & 1 else 0
    return found
