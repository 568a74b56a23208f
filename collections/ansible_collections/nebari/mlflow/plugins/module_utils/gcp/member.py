# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""One member of one role, on a bucket or on a service account: read, change, write, and all again on a conflict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..cloud.ledger import Ledger
from ..cloud.retry import until
from .client import IAM, STORAGE, Gcp, GoogleError, explained
from .iam_policy import Policy, add_member, has_member, remove_member, same

KIND = "IAM member"
CONFLICT = {409, 412}  # somebody else wrote between our reading and our writing
# What time does not solve: a cluster without workload identity, an organisation's policy.
LASTING = ("Identity Pool does not exist", "permitted customer", "constraint")
PATIENCE = 120.0  # seconds


@dataclass(frozen=True)
class Target:
    """Whose policy it is. The two services differ in methods, paths and names."""

    gcp: Gcp
    name: str  # as people know it
    read_with: tuple[str, str, dict[str, str]]  # method, URL, query
    write_with: tuple[str, str]
    wrapped: bool  # whether the policy is sent as {"policy": ...}
    permission: str  # without its verb

    @classmethod
    def bucket(cls, gcp: Gcp, name: str) -> Target:
        """https://cloud.google.com/storage/docs/json_api/v1/buckets/setIamPolicy"""
        url = f"{STORAGE}/b/{name}/iam"
        query = {"optionsRequestedPolicyVersion": "3"}
        return cls(gcp, f"bucket {name}", ("GET", url, query), ("PUT", url), False, "storage.buckets")

    @classmethod
    def service_account(cls, gcp: Gcp, email: str) -> Target:
        """https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts/setIamPolicy"""
        url = f"{IAM}/projects/{gcp.project}/serviceAccounts/{email}"
        query = {"options.requestedPolicyVersion": "3"}
        read = ("POST", f"{url}:getIamPolicy", query)
        return cls(gcp, f"service account {email}", read, ("POST", f"{url}:setIamPolicy"), True, "iam.serviceAccounts")

    def read(self, absent: tuple[int, ...] = (), raw: tuple[int, ...] = ()) -> Policy | None:
        """Return the policy; None for a status in `absent`. Raises GoogleError for one in `raw`, or CloudError."""
        method, url, query = self.read_with
        permission = f"{self.permission}.getIamPolicy"
        answer: Policy | None = self.gcp.call(method, url, permission, query=query, absent=absent, raw=raw)
        return answer

    def write(self, policy: Policy) -> None:
        """Write what was read and changed. Its etag makes a write fail that would undo somebody else's."""
        method, url = self.write_with
        body = {"policy": policy} if self.wrapped else policy
        self.gcp.call(method, url, f"{self.permission}.setIamPolicy", body=body, raw=(400, 404, *CONFLICT))


def ensure_present(plan: Ledger, target: Target, role: str, member: str, exists: bool = True) -> None:
    """Grant the role. A target that does not exist, or is not known yet, counts as one that is about to be created."""
    policy = target.read(absent=(404,)) if exists else None
    if policy is None or not has_member(policy, role, member):
        settings = {"role": role, "member": member}
        plan.create(KIND, _name(target, role), settings, lambda: _repeat(target, add_member, role, member))


def ensure_absent(plan: Ledger, target: Target, role: str, member: str) -> None:
    """Take the role away, if the target is still there."""
    policy = target.read(absent=(404,))
    if policy is not None and has_member(policy, role, member):
        plan.delete(KIND, _name(target, role), lambda: _repeat(target, remove_member, role, member))


def _repeat(target: Target, change: Callable[[Policy, str, str], Policy], role: str, member: str) -> None:
    def once() -> None:
        policy: Any = target.read(raw=(404,))
        changed = change(policy, role, member)
        # Version 3 says that conditions were seen and are given back.
        changed["version"] = 3 if any("condition" in each for each in changed["bindings"]) else policy.get("version", 1)
        if not same(policy, changed):
            target.write(changed)

    try:
        until(once, _is_passing, target.gcp.progress, f"{_name(target, role)}", PATIENCE)
    except GoogleError as error:
        raise explained(error, target.name, f"{target.permission}.setIamPolicy") from error


def _is_passing(error: Exception) -> bool:
    """Check for a conflict, or for an account that was made a moment ago and is not known everywhere."""
    if not isinstance(error, GoogleError) or any(lasting in error.said for lasting in LASTING):
        return False
    return error.status in (404, *CONFLICT) or (error.status == 400 and "does not exist" in error.said)


def _name(target: Target, role: str) -> str:
    return f"{role} on {target.name}"
