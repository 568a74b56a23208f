"""Who may take a role: IAM's trust policies, which moto keeps and does not read.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
"""

from __future__ import annotations

import json

from moto.iam.models import iam_backends

from ..claims import claims_of

ACCOUNT = "123456789012"
LONGEST = (
    2048  # characters of a trust policy: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
)


class Denied(Exception):
    def __init__(self, status: int, code: str, said: str) -> None:
        self.status = status
        self.code = code
        super().__init__(said)


def check_document(text: str) -> str:
    """Return what is wrong with a trust policy, "" when nothing is.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """
    document = json.loads(text)
    if document.get("Version") not in ("2012-10-17", "2008-10-17"):
        return "The policy has no valid Version."
    if len("".join(text.split())) > LONGEST:
        return "Cannot exceed quota for ACLSizePerRole: 2048"
    for statement in document.get("Statement", []):
        if "Resource" in statement:
            return "Has prohibited field Resource"
        if "Principal" not in statement:
            return "AssumeRole policy must contain a Principal"
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        if not all(action.startswith("sts:") for action in actions):
            return "AssumeRole policy may only specify STS AssumeRole actions."
    return ""


def assume(role: str, token: str) -> None:
    """Let a pod's token take a role, if issuer, subject and audience are those that its policy names."""
    claims = claims_of(token)
    issuer = claims["iss"].removeprefix("https://")
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"
    provider = iam_backends[ACCOUNT]["aws"].open_id_providers.get(arn)
    if provider is None:
        raise Denied(
            400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for " + claims["iss"]
        )
    if claims["aud"] not in provider.client_id_list:
        raise Denied(400, "InvalidIdentityToken", "Incorrect token audience")
    context = {f"{issuer}:sub": claims["sub"], f"{issuer}:aud": claims["aud"]}
    if not allowed(role, {"Federated": arn}, "sts:AssumeRoleWithWebIdentity", context):
        raise Denied(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")


def allowed(role: str, principal: dict[str, str], action: str, context: dict[str, str]) -> bool:
    """Evaluate a role's trust policy, as far as StringEquals goes; another operator allows nothing."""
    found = iam_backends[ACCOUNT]["aws"].roles.values()
    documents = [json.loads(each.assume_role_policy_document) for each in found if each.name == role]
    return any(
        statement["Effect"] == "Allow"
        and statement["Principal"] == principal
        and action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        and set(statement.get("Condition", {})) <= {"StringEquals"}
        and all(context.get(key) == value for key, value in statement["Condition"]["StringEquals"].items())
        for document in documents
        for statement in document["Statement"]
    )
