"""Entra ID's token endpoint: for the deployer's secret, and for the token that a cluster gives a pod."""

from __future__ import annotations

import time
import uuid

from ..claims import claims_of
from ..http import Request, Response, answer
from .arm import DEPLOYER, TOKEN, Arm
from .identity import IDENTITIES

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
STORAGE = "https://storage.azure.com"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Denied(Exception):
    """https://learn.microsoft.com/entra/identity-platform/reference-error-codes"""

    def __init__(self, status: int, error: str, code: str, said: str) -> None:
        numbers = [int(code.removeprefix("AADSTS"))]
        self.response = answer(status, {"error": error, "error_description": f"{code}: {said}", "error_codes": numbers})
        super().__init__(said)


def login(arm: Arm, request: Request) -> Response:
    base, tenant = f"https://{request.host}", request.path.split("/")[1]
    try:
        if request.path.endswith("/discovery/instance"):
            return _instance(request, base)
        if tenant != TENANT:
            raise Denied(400, "invalid_request", "AADSTS90002", f"Tenant '{tenant}' not found.")
        if request.path.endswith("/openid-configuration"):
            return _configuration(base)
        if request.method == "POST" and request.path.endswith("/oauth2/v2.0/token"):
            return _token(arm, request.form)
    except Denied as denied:
        return denied.response
    return answer(501, {"error": f"not simulated: {request.target}"})


def _instance(request: Request, base: str) -> Response:
    """https://learn.microsoft.com/entra/msal/python/advanced/msal-python-validate-authority"""
    hosts = {"preferred_network": request.host, "preferred_cache": request.host, "aliases": [request.host]}
    discovery = f"{base}/{TENANT}/v2.0/.well-known/openid-configuration"
    return answer(200, {"tenant_discovery_endpoint": discovery, "metadata": [hosts]})


def _configuration(base: str) -> Response:
    """https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc"""
    return answer(200, {
        "token_endpoint": f"{base}/{TENANT}/oauth2/v2.0/token",
        "authorization_endpoint": f"{base}/{TENANT}/oauth2/v2.0/authorize",
        "issuer": f"{base}/{TENANT}/v2.0",
    })  # fmt: skip


def _token(arm: Arm, form: dict[str, str]) -> Response:
    """https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow"""
    if form.get("grant_type") != "client_credentials":
        raise Denied(400, "unsupported_grant_type", "AADSTS70003", "The app requested an unsupported grant type.")
    resource = form.get("scope", "").removesuffix("/.default")
    management = arm.hosts.audience
    if resource not in (management, STORAGE) or not form["scope"].endswith("/.default"):
        raise Denied(400, "invalid_scope", "AADSTS70011", f"The scope {form.get('scope')} is not valid.")
    who = _federated(arm, form) if "client_assertion" in form else _deployer(form)
    token = TOKEN if (who, resource) == (DEPLOYER, management) else uuid.uuid4().hex
    arm.tokens[token] = (who, resource)
    return answer(200, {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token})


def _deployer(form: dict[str, str]) -> str:
    if form.get("client_id") != CLIENT:
        said = f"Application with identifier '{form.get('client_id')}' was not found in the directory."
        raise Denied(400, "unauthorized_client", "AADSTS700016", said)
    if form.get("client_secret") == "expired":
        said = "The provided client secret keys for app are expired."
        raise Denied(401, "invalid_client", "AADSTS7000222", said)
    if form.get("client_secret") != "testing":
        raise Denied(401, "invalid_client", "AADSTS7000215", "Invalid client secret provided.")
    return DEPLOYER


def _federated(arm: Arm, form: dict[str, str]) -> str:
    """Return the principal that a pod's token stands for: issuer, subject and audience match to the letter.

    https://learn.microsoft.com/entra/workload-id/workload-identity-federation and, for how a miss is remembered,
    https://azure.github.io/azure-workload-identity/docs/faq.html
    """
    identity = next(
        (path for path, each in arm.resources.items()
         if each.get("type") == IDENTITIES and each["properties"]["clientId"] == form.get("client_id")),
        "",
    )  # fmt: skip
    if not identity or form.get("client_assertion_type") != ASSERTION:
        said = f"Application with identifier '{form.get('client_id')}' was not found in the directory."
        raise Denied(400, "unauthorized_client", "AADSTS700016", said)
    claims = claims_of(form["client_assertion"])
    found = [each for path, each in arm.resources.items() if path.startswith(f"{identity}/federatedidentity")]
    for code, name, claim in (
        ("AADSTS700211", "issuer", claims["iss"]),
        ("AADSTS700213", "subject", claims["sub"]),
        ("AADSTS700212", "audiences", [claims["aud"]]),
    ):
        found = [each for each in found if each["properties"][name] == claim]
        if not found:
            said = f"No matching federated identity record found for presented assertion {name} '{claim}'."
            raise Denied(401, "invalid_client", code, said)
    path = str(found[0]["id"]).lower()
    now = time.monotonic()
    if now < arm.since[path] + arm.settle:
        arm.missed.setdefault(path, now + arm.settle)
    if now < arm.missed.get(path, 0.0):
        said = "No matching federated identity record found for presented assertion."
        raise Denied(401, "invalid_client", "AADSTS70021", said)
    principal: str = arm.resources[identity]["properties"]["principalId"]
    return principal
