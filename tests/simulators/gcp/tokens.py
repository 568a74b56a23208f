"""The token endpoints: for a service account's key, and for the token that a cluster gives a pod."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ..http import Request, Response, answer
from .errors import Refused, known
from .state import TOKEN, Google

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
WORKLOAD = "roles/iam.workloadIdentityUser"


def by_key(google: Google, request: Request) -> Response:
    """https://developers.google.com/identity/protocols/oauth2/service-account#httprest"""
    form = request.form
    if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
        return answer(400, {"error": "unsupported_grant_type", "error_description": "Invalid grant_type"})
    try:
        claims = _verified(google, form["assertion"])
    except InvalidSignature:
        return answer(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
    if claims["aud"] != "https://oauth2.googleapis.com/token" or claims.get("scope") != SCOPE:
        return answer(400, {"error": "invalid_scope", "error_description": "Invalid OAuth scope or ID token audience."})
    token = give(google, f"serviceAccount:{claims['iss']}")
    return answer(200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"})


def known_bearer(google: Google, request: Request) -> bool:
    """Tell whether a call bears a token that was given, or one that a service account's key has signed for that host.

    https://developers.google.com/identity/protocols/oauth2/service-account#jwt-auth
    """
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if token == TOKEN or token in google.tokens:
        return True
    try:
        claims = _verified(google, token)
    except (InvalidSignature, ValueError, IndexError):
        return False
    fits = claims.get("aud") == f"https://{request.host}/" or claims.get("scope") == SCOPE
    return fits and claims.get("sub") == claims["iss"] and time.time() < claims.get("exp", 0)


def _verified(google: Google, token: str) -> dict[str, Any]:
    """Return the claims of a JWT that the key of a service account has signed."""
    signed, _, signature = token.rpartition(".")
    claims = decoded(signed.split(".")[1])
    public = google.keys.get(claims["iss"])
    if public is None:
        raise InvalidSignature
    key = serialization.load_pem_public_key(public.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(_bytes(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return claims


def boundary(_: Google, __: Request, ___: str) -> Any:
    """Say that an account is bound to no region, as one is that nobody has bound."""
    return {"locations": [], "encodedLocations": "0x0"}


def exchange(google: Google, request: Request) -> Any:
    """Give a pod's token for one of the pool that its cluster belongs to.

    https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token and, for the audience that a node's metadata
    server asks for, https://cloud.google.com/kubernetes-engine/docs/concepts/workload-identity
    """
    fields = {"audience", "grantType", "requestedTokenType", "scope", "subjectToken", "subjectTokenType"}
    body = known(request.json(), fields, fields)
    kind, pool, provider = body["audience"].split(":", 2)
    claims = decoded(body["subjectToken"].split(".")[1])
    # Every cluster of the pool's project is in the pool, and no other.
    clusters = f"https://container.googleapis.com/v1/projects/{pool.removesuffix('.svc.id.goog')}/"
    trusted = pool in google.pools and claims["iss"] == provider and provider.startswith(clusters)
    if kind != "identitynamespace" or not trusted or claims["aud"] != pool:
        raise Refused(400, "The audience or the issuer of the token is not that of the pool.", "invalid_grant")
    namespace, account = claims["sub"].split(":")[2:]
    token = give(google, f"serviceAccount:{pool}[{namespace}/{account}]")
    return {"access_token": token, "issued_token_type": body["requestedTokenType"], "token_type": "Bearer"}


def of_account(google: Google, request: Request, email: str) -> Any:
    """Give the token of a service account to whom its policy lets speak for it.

    https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
    """
    known(request.json(), {"scope", "lifetime", "delegates"}, {"scope"})
    member = google.tokens.get(request.headers["Authorization"].removeprefix("Bearer "), "")
    account = google.accounts.get(email, {"disabled": True})
    if account.get("disabled") or not google.may(member, WORKLOAD, email):
        said = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
        raise Refused(403, said, "IAM_PERMISSION_DENIED", permission="iam.serviceAccounts.getAccessToken")
    return {"accessToken": give(google, f"serviceAccount:{email}"), "expireTime": "2026-01-01T01:00:00Z"}


def principal(google: Google, member: str) -> str:
    """Return the other name of a cluster's service account, by which it is a member without a Google one."""
    pool, _, rest = member.removeprefix("serviceAccount:").partition("[")
    namespace, _, account = rest.rstrip("]").partition("/")
    pools = f"projects/{google.number}/locations/global/workloadIdentityPools"
    return f"principal://iam.googleapis.com/{pools}/{pool}/subject/ns/{namespace}/sa/{account}"


def decoded(part: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(_bytes(part))
    return claims


def _bytes(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def give(google: Google, member: str) -> str:
    token = uuid.uuid4().hex
    google.tokens[token] = member
    return token
