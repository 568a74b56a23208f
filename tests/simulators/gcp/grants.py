"""What the deployer may do: roles that are bound to the project, each with a condition.

https://cloud.google.com/iam/docs/conditions-overview and, for the names of resources,
https://cloud.google.com/iam/docs/conditions-resource-attributes
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..http import Request

CLAUSE = re.compile(r'resource\.name(?:\.(startsWith|endsWith)\("([^"]*)"\)|\s*==\s*"([^"]*)")')


@dataclass(frozen=True)
class Grant:
    permissions: frozenset[str]
    expression: str = "true"

    def allows(self, permission: str, resource: str) -> bool:
        return permission in self.permissions and evaluate(self.expression, resource)


def allowed(grants: Iterable[Grant], permission: str, resource: str) -> bool:
    return any(each.allows(permission, resource) for each in grants)


def evaluate(expression: str, name: str) -> bool:
    """Evaluate the part of CEL that conditions on names need: clauses joined by `||`."""
    if expression == "true":
        return True
    return any(_clause(each.strip(), name) for each in expression.split("||"))


def _clause(text: str, name: str) -> bool:
    found = CLAUSE.fullmatch(text)
    if found is None:
        raise NotImplementedError(text)
    method, part, whole = found.groups()
    if method is None:
        return name == whole
    return name.startswith(part) if method == "startsWith" else name.endswith(part)


def needs(permission: str, request: Request, project: str) -> list[tuple[str, str]]:
    """Return the permissions of a call, each with the resource on which Google checks it.

    https://cloud.google.com/storage/docs/access-control/iam-json: a bucket is created in its project, and to change
    public access prevention is to change the policy.
    """
    found = re.match(r"/storage/v1/b/([^/]+)(?:/o/(.+))?", request.path)
    account = re.match(r"/v1/projects/[^/]+/serviceAccounts/([^/:]+)", request.path)
    name = f"projects/{project}"
    if found:
        name = f"projects/_/buckets/{found[1]}" + (f"/objects/{found[2]}" if found[2] else "")
    elif account:
        name = f"{name}/serviceAccounts/{account[1]}"
    body = json.loads(request.body) if request.method == "PATCH" and found else {}
    prevents = "publicAccessPrevention" in body.get("iamConfiguration", {})
    return [(permission, name), *([("storage.buckets.setIamPolicy", name)] if prevents else [])]
