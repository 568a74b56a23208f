"""Names are valid in every cloud, for every project that Nebari or the server's role allows."""

from __future__ import annotations

import re

from ansible_collections.nebari.mlflow.plugins.module_utils.cloud import naming
from hypothesis import given
from hypothesis import strategies as st

PROJECT = st.from_regex(r"\A[A-Za-z]([A-Za-z0-9_-]{0,44}[A-Za-z0-9])?\Z")
NAMESPACE = st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")


@given(PROJECT, NAMESPACE)
def test_names_follow_the_rules_of_the_clouds(project: str, namespace: str) -> None:
    bucket = naming.bucket_name(project, namespace, "scope")
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", bucket)
    assert "--" not in bucket
    assert not re.search("g[o0]{2}g", bucket)
    assert not bucket.startswith(("xn-", "sthree-"))
    assert len(bucket) <= 64
    assert re.fullmatch(r"[a-z0-9]{3,24}", naming.account_name(project, namespace, "scope"))
    assert re.fullmatch(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", naming.account_id(project, namespace, "scope"))
    assert re.fullmatch(r"[a-z0-9-]{1,63}", naming.owner_id(project, namespace, "scope"))


@given(PROJECT, NAMESPACE, st.sampled_from(["project", "namespace", "scope"]))
def test_names_of_two_deployments_differ(project: str, namespace: str, changed: str) -> None:
    one = (project, namespace, "scope")
    two = (
        project + "x" if changed == "project" else project,
        namespace + "x" if changed == "namespace" else namespace,
        "other" if changed == "scope" else "scope",
    )
    for make in (naming.bucket_name, naming.account_name, naming.account_id, naming.owner_id):
        assert make(*one) != make(*two)
        assert make(*one) == make(*one)


def test_an_owner_cannot_be_given_by_tags() -> None:
    tags = naming.tags("p", "n", "owner", {naming.OWNER: "me", "a": "b"})
    assert tags[naming.OWNER] == "owner"
    assert tags["a"] == "b"
