"""Identity policies with conditions, evaluated as AWS documents it. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html and
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Policy = dict[str, Any]
Values = list[str]
ELEMENTS = {"Sid", "Effect", "Action", "Resource", "Condition"}


@dataclass(frozen=True)
class Need:
    """What one call needs: an action on a resource, and the keys that its conditions may ask for."""

    action: str
    resource: str
    context: dict[str, str | Values] = field(default_factory=dict)


def allowed(policy: Policy, need: Need) -> bool:
    """Check that a statement allows what is needed, and none denies it."""
    matching = [each["Effect"] for each in policy["Statement"] if _applies(each, need)]
    return "Allow" in matching and "Deny" not in matching


def _applies(statement: Policy, need: Need) -> bool:
    if set(statement) - ELEMENTS:
        raise NotImplementedError(f"elements {sorted(set(statement) - ELEMENTS)}")
    return (
        any(like(need.action.lower(), each.lower()) for each in listed(statement["Action"]))
        and any(like(need.resource, each) for each in listed(statement["Resource"]))
        and all(
            _holds(operator, key, listed(values), need.context)
            for operator, asked in statement.get("Condition", {}).items()
            for key, values in asked.items()
        )
    )


def like(text: str, pattern: str) -> bool:
    """Match `*` and `?`, which in a resource also stand for colons and slashes."""
    parts = {"*": ".*", "?": "."}
    return re.fullmatch("".join(parts.get(each, re.escape(each)) for each in pattern), text, re.DOTALL) is not None


def listed(value: str | Values) -> Values:
    return [value] if isinstance(value, str) else value


def _holds(operator: str, key: str, wanted: Values, context: dict[str, str | Values]) -> bool:
    """Check one condition; a key that a call does not have fails all but Null, which asks for just that."""
    names = {name.lower(): value for name, value in context.items()}  # keys have no case, values do
    found = names.get(key.lower())
    if operator == "Null":
        return [str(found is None).lower()] == wanted
    qualifier, _, plain = operator.rpartition(":")
    if qualifier not in ("", "ForAnyValue") or plain not in OPERATORS:
        raise NotImplementedError(operator)
    if isinstance(found, list) and not qualifier:
        raise NotImplementedError(f"{key} has many values, and {operator} is for one")
    return any(OPERATORS[plain](each, one) for each in listed(found or []) for one in wanted)


OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda found, wanted: found == wanted,
    "StringLike": like,
    "NumericEquals": lambda found, wanted: float(found) == float(wanted),
    "ArnEquals": like,
    "ArnLike": like,
}
