# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""One member of one role in an IAM policy of Google's. Pure: a policy goes in, a policy comes out.

A policy is {etag, version, bindings: [{role, members, condition?}]}. Bindings with a condition are others', and so is
every other member. https://cloud.google.com/iam/docs/reference/rest/v1/Policy
"""

from __future__ import annotations

from typing import Any

Policy = dict[str, Any]


def has_member(policy: Policy, role: str, member: str) -> bool:
    """Say if a role is bound to a member without a condition."""
    return any(member in binding.get("members", []) for binding in _ours(policy, role))


def members(policy: Policy) -> list[tuple[str, str]]:
    """Return each role with each of its members that exists."""
    return [
        (binding["role"], member)
        for binding in policy.get("bindings", [])
        for member in binding.get("members", [])
        if not member.startswith("deleted:")
    ]


def add_member(policy: Policy, role: str, member: str) -> Policy:
    """Return the policy with the member, without the deleted twins of it that Google leaves behind."""
    bindings = _without_twins(policy, role, member)
    for binding in bindings:
        if binding["role"] == role and "condition" not in binding:
            if member not in binding["members"]:
                binding["members"].append(member)
            break
    else:
        bindings.append({"role": role, "members": [member]})
    return {**policy, "bindings": [binding for binding in bindings if binding["members"]]}


def remove_member(policy: Policy, role: str, member: str) -> Policy:
    """Return the policy without the member; a binding that becomes empty goes."""
    bindings = _without_twins(policy, role, member)
    for binding in bindings:
        if binding["role"] == role and "condition" not in binding:
            binding["members"] = [each for each in binding["members"] if each != member]
    return {**policy, "bindings": [binding for binding in bindings if binding["members"]]}


def same(one: Policy, other: Policy) -> bool:
    """Check whether two policies grant the same, in whatever order they say it."""
    return _grants(one) == _grants(other)


def is_twin(candidate: str, member: str) -> bool:
    """Check for `deleted:MEMBER?uid=NUMBER`: an account of that name that was deleted, which is not our member."""
    return candidate.startswith(f"deleted:{member}?uid=")


def _ours(policy: Policy, role: str) -> list[dict[str, Any]]:
    return [each for each in policy.get("bindings", []) if each["role"] == role and "condition" not in each]


def _without_twins(policy: Policy, role: str, member: str) -> list[dict[str, Any]]:
    copied = []
    for binding in policy.get("bindings", []):
        members = list(binding.get("members", []))
        if binding["role"] == role and "condition" not in binding:
            members = [each for each in members if not is_twin(each, member)]
        copied.append({**binding, "members": members})
    return copied


def _grants(policy: Policy) -> set[tuple[str, str, str]]:
    return {
        (binding["role"], member, str(sorted(binding.get("condition", {}).items())))
        for binding in policy.get("bindings", [])
        for member in binding.get("members", [])
    }
