"""The evaluators of the clouds' policies, by what the clouds document."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulators.aws.evaluation import Need, allowed
from tests.simulators.azure import conditions
from tests.simulators.gcp import grants

ALLOW = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::demo-????/*"}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        ("s3:GetObject", "arn:aws:s3:::demo-1234/a/b", True),
        ("S3:getobject", "arn:aws:s3:::demo-1234/a", True),
        ("s3:PutObject", "arn:aws:s3:::demo-1234/a", False),
        ("s3:GetObject", "arn:aws:s3:::demo-12345/a", False),
        ("s3:GetObject", "arn:aws:s3:::DEMO-1234/a", False),
        ("s3:GetObject", "arn:aws:s3:::demo-1234", False),
    ],
)
def test_aws_actions_have_no_case_and_resources_have(action: str, resource: str, expected: bool) -> None:
    assert allowed(policy(ALLOW), Need(action, resource)) is expected


def test_an_aws_denial_wins() -> None:
    need = Need("s3:GetObject", "arn:aws:s3:::demo-1234/a")
    assert not allowed(policy(ALLOW, {"Effect": "Deny", "Action": "*", "Resource": "*"}), need)


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ({"StringEquals": {"k": ["a", "b"]}}, {"K": "b"}, True),
        ({"StringEquals": {"k": "a"}}, {"k": "A"}, False),
        ({"StringEquals": {"k": "a"}}, {}, False),
        ({"StringLike": {"k": "de*"}}, {"k": "demo"}, True),
        ({"StringLike": {"k": "de*"}}, {}, False),
        ({"StringEquals": {"k": "a", "l": "b"}}, {"k": "a"}, False),
        ({"Null": {"k": "true"}}, {}, True),
        ({"Null": {"k": "true"}}, {"k": "a"}, False),
        ({"ForAnyValue:StringLike": {"k": "a*"}}, {"k": ["b", "a1"]}, True),
        ({"ForAnyValue:StringLike": {"k": "a*"}}, {}, False),
        ({"NumericEquals": {"k": "30"}}, {"k": "7"}, False),
    ],
)
def test_all_conditions_of_an_aws_statement_must_hold(
    condition: dict[str, Any], context: dict[str, Any], expected: bool
) -> None:
    need = Need("s3:GetObject", "arn:aws:s3:::demo-1234/a", context)
    assert allowed(policy({**ALLOW, "Condition": condition}), need) is expected


@pytest.mark.parametrize("part", [{"Condition": {"Bool": {"k": "true"}}}, {"NotAction": "iam:*"}])
def test_what_an_evaluator_does_not_know_is_an_error(part: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError):
        allowed(policy({**ALLOW, **part}), Need("s3:GetObject", "arn:aws:s3:::demo-1234/a"))
    with pytest.raises(NotImplementedError):
        grants.evaluate("resource.type == 'x'", "projects/_/buckets/b")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("ActionMatches{'a/*'}", True),
        ("!(ActionMatches{'a/b'}) OR ActionMatches{'a/b'}", True),
        ("!(ActionMatches{'a/b'}) AND ActionMatches{'a/b'}", False),
        ("ActionMatches{'x'} AND ActionMatches{'x'} OR ActionMatches{'a/b'}", True),
        ("ActionMatches{'x'} AND (ActionMatches{'x'} OR ActionMatches{'a/b'})", False),
        ("@Request[r:Id] ForAnyOfAnyValues:GuidEquals {1, AB}", True),
        ("@Request[r:Id] ForAnyOfAnyValues:GuidEquals {1}", False),
        ("@Resource[r:Id] ForAnyOfAnyValues:GuidEquals {ab}", False),
    ],
)
def test_azure_conditions_combine_as_documented(condition: str, expected: bool) -> None:
    assert conditions.evaluate(condition, "a/b", {"@Request[r:Id]": "ab"}) is expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('resource.name.startsWith("projects/_/buckets/demo-")', True),
        ('resource.name == "projects/_/buckets/demo-1"', True),
        ('resource.name == "projects/_/buckets/demo"', False),
        ('resource.name.startsWith("x") || resource.name.endsWith("-1")', True),
    ],
)
def test_google_conditions_on_names(expression: str, expected: bool) -> None:
    assert grants.evaluate(expression, "projects/_/buckets/demo-1") is expected
