"""One member of one role comes or goes, and nothing else changes."""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.nebari.mlflow.plugins.module_utils.gcp.iam_policy import (
    add_member,
    has_member,
    remove_member,
    same,
)
from hypothesis import given
from hypothesis import strategies as st

MEMBERS = st.lists(st.sampled_from(["user:a", "user:b", "group:c", "serviceAccount:d"]), min_size=1, unique=True)
BINDINGS = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["reader", "writer"]), "members": MEMBERS},
        optional={"condition": st.just({"title": "t", "expression": "e"})},
    ),
    max_size=4,
)
POLICY = st.builds(lambda bindings: {"etag": "e", "version": 1, "bindings": bindings}, BINDINGS)


def others(policy: dict[str, Any]) -> list[tuple[str, str, bool]]:
    return sorted(
        (each["role"], member, "condition" in each)
        for each in policy["bindings"]
        for member in each["members"]
        if (each["role"], member, "condition" in each) != ("reader", "serviceAccount:d", False)
    )


@given(POLICY)
def test_a_member_comes_and_goes_alone(policy: dict[str, Any]) -> None:
    before = copy.deepcopy(policy)
    added = add_member(policy, "reader", "serviceAccount:d")
    removed = remove_member(added, "reader", "serviceAccount:d")
    assert policy == before
    assert has_member(added, "reader", "serviceAccount:d")
    assert not has_member(removed, "reader", "serviceAccount:d")
    assert others(added) == others(removed) == others(policy)
    assert added["etag"] == removed["etag"] == "e"
    assert same(add_member(added, "reader", "serviceAccount:d"), added)


def test_a_deleted_twin_is_no_member_and_goes() -> None:
    twin = "deleted:serviceAccount:d?uid=1"
    policy = {"bindings": [{"role": "reader", "members": [twin, "user:a", "deleted:serviceAccount:dd?uid=1"]}]}
    assert not has_member(policy, "reader", "serviceAccount:d")
    members = add_member(policy, "reader", "serviceAccount:d")["bindings"][0]["members"]
    assert members == ["user:a", "deleted:serviceAccount:dd?uid=1", "serviceAccount:d"]


def test_a_member_with_a_condition_is_not_ours() -> None:
    policy = {"bindings": [{"role": "reader", "members": ["user:a"], "condition": {"title": "t"}}]}
    assert not has_member(policy, "reader", "user:a")
    assert remove_member(policy, "reader", "user:a") == policy
