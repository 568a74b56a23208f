"""IAM policies: their etag, their conditions, and who may be a member.

https://cloud.google.com/iam/docs/reference/rest/v1/Policy and https://cloud.google.com/iam/docs/policies
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import Refused, known

if TYPE_CHECKING:
    from .state import Google

PEOPLE = ("user", "group", "domain", "projectOwner", "projectEditor", "projectViewer")
KUBERNETES = re.compile(r"serviceAccount:([^\[]+)\[[a-z0-9-]+/[a-z0-9.-]+\]")
PRINCIPAL = re.compile(
    r"principal://iam\.googleapis\.com/projects/(\d+)/locations/global/workloadIdentityPools/([^/]+)/subject/.+"
)


@dataclass
class Policy:
    """An IAM policy whose etag changes with every write."""

    bindings: list[dict[str, Any]] = field(default_factory=list)
    version: int = 0

    def read(self, version: str) -> dict[str, Any]:
        """Return the policy; who does not ask for version 3 gets no conditions and other role names.

        https://cloud.google.com/iam/docs/reference/rest/v1/GetPolicyOptions
        """
        policy: dict[str, Any] = {"etag": f"etag-{self.version}"}
        if not self.bindings:
            return policy
        conditional = any("condition" in each for each in self.bindings)
        if version == "3":
            return {**policy, "version": 3 if conditional else 1, "bindings": self.bindings}
        plain = [
            {"role": f"{each['role']}_withcond_0123456789", "members": each["members"]} if "condition" in each else each
            for each in self.bindings
        ]
        return {**policy, "version": 1, "bindings": plain}

    def write(self, google: Google, body: dict[str, Any], conflict: int) -> None:
        known(body, {"etag", "version", "bindings", "kind", "resourceId"})
        if body.get("etag") != f"etag-{self.version}":
            said = "There were concurrent policy changes. Please retry the whole read-modify-write with back-off."
            raise Refused(conflict, said)
        bindings = body.get("bindings", [])
        if any("condition" in each for each in [*bindings, *self.bindings]) and body.get("version") != 3:
            raise Refused(400, "Version 3 is required to write a policy with conditions.")
        before = {member for each in self.bindings for member in each["members"]}
        for binding in bindings:
            known(binding, {"role", "members", "condition"}, {"role", "members"})
            if not re.fullmatch(r"(projects/[^/]+/)?roles/[A-Za-z0-9._]+", binding["role"]):
                raise Refused(400, f"Role {binding['role']} is not supported for this resource.")
            for member in binding["members"]:
                check(google, member, before)
        self.bindings = [each for each in bindings if each["members"]]
        self.version += 1


def check(google: Google, member: str, before: set[str]) -> None:
    """Refuse a member that does not exist.

    https://cloud.google.com/iam/docs/principal-identifiers
    """
    kind, _, name = member.partition(":")
    kubernetes, principal = KUBERNETES.fullmatch(member), PRINCIPAL.fullmatch(member)
    if kubernetes:
        if kubernetes[1] not in google.pools:
            raise Refused(400, f"Identity Pool does not exist ({kubernetes[1]}). Please check that you specified it.")
    elif principal:
        if principal[1] != google.number or principal[2] not in google.pools:
            raise Refused(400, f"Identity Pool does not exist ({principal[2]}). Please check that you specified it.")
    elif kind == "serviceAccount":
        try:
            google.account(name)
        except Refused as refused:
            raise Refused(400, f"Service account {name} does not exist.") from refused
    elif kind == "deleted":
        if member not in before:
            raise Refused(400, f"Principal {member} is deleted and cannot be added.")
    elif kind not in PEOPLE or not name:
        raise Refused(400, f"The member {member} is of an unknown type. Please set a valid type prefix.")
