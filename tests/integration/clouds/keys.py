"""The key of a service account of Google's, and the public part that the simulated token service knows."""

from __future__ import annotations

import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def key_of(email: str, project: str, **more: str) -> tuple[str, str]:
    """Return the key as Google gives it, in JSON, and its public part."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoded = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    key = {
        "type": "service_account",
        "project_id": project,
        "private_key_id": "1",
        "private_key": encoded.decode(),
        "client_email": email,
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
        **more,
    }
    return json.dumps(key), public.decode()
