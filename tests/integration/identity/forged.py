"""Forged tokens, each made from a real one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm


def key_id(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def claims_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def by_another_key(token: str, kid: str = "", **changed: Any) -> str:
    """Sign the token's claims with a key of our own, under the id of the issuer's or another."""
    foreign = rsa.generate_private_key(65537, 2048)
    return jwt.encode({**claims_of(token), **changed}, foreign, "RS256", headers={"kid": kid or key_id(token)})


def unsigned(token: str) -> str:
    return jwt.encode(claims_of(token), "", "none", headers={"kid": key_id(token)})


def with_other_claims(token: str, **changed: Any) -> str:
    """Exchange claims and keep the signature."""
    head, _, signature = token.split(".")
    return f"{head}.{_part(json.dumps({**claims_of(token), **changed}).encode())}.{signature}"


def by_public_key(token: str, certificates: list[dict[str, Any]]) -> list[str]:
    """Sign the token's claims with the issuer's public key as if it were a secret; PyJWT refuses to."""
    (published,) = [each for each in certificates if each["kid"] == key_id(token)]
    public = RSAAlgorithm.from_jwk(published).public_bytes(  # type: ignore[union-attr]
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return [_by_secret(token, secret) for secret in (public, published["n"].encode())]


def _by_secret(token: str, secret: bytes) -> str:
    head = _part(json.dumps({"alg": "HS256", "typ": "JWT", "kid": key_id(token)}).encode())
    signed = f"{head}.{_part(json.dumps(claims_of(token)).encode())}"
    return f"{signed}.{_part(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def _part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")
