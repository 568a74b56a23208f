"""Where a cluster runs, from what its own objects say."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.cluster_facts import describe

ISSUER = "https://issuer.example.org/id/1"
ARN = "arn:aws:eks:eu-west-1:111122223333:cluster/demo-dev"
AKS = "azure:///subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/{}/providers/Microsoft.Compute/x/0"
REGION = "topology.kubernetes.io/region"
OLD_REGION = "failure-domain.beta.kubernetes.io/region"


def node(provider_id: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"labels": labels}, "spec": {"providerID": provider_id}}


@pytest.mark.parametrize(
    ("nodes", "names", "expected"),
    [
        ([], [], {}),
        ([node("kind://docker/kind/kind-control-plane")], [], {}),
        ([{"metadata": {}, "spec": {}}], [], {}),
        (
            [node("gce://our-project/europe-west1-b/gke-demo-1", **{REGION: "europe-west1"})],
            [],
            {"provider": "gcp", "region": "europe-west1", "project": "our-project"},
        ),
        (
            [node("gce://our-project/europe-west1-b/gke-demo-1")],
            [],
            {"provider": "gcp", "region": "europe-west1", "project": "our-project"},
        ),
        (
            [node("aws:///eu-west-1a/i-0a1b2c3d", **{REGION: "eu-west-1"})],
            ["admin@demo", ARN],
            {"provider": "aws", "region": "eu-west-1", "cluster_name": "demo-dev", "account": "111122223333"},
        ),
        ([node("aws:///us-gov-west-1b/i-0a")], ["demo"], {"provider": "aws", "region": "us-gov-west-1"}),
        (
            [node(AKS.format("mc_demo-dev_demo-dev_westeurope"), **{OLD_REGION: "westeurope"})],
            [],
            {
                "provider": "azure",
                "region": "westeurope",
                "subscription_id": "11111111-2222-3333-4444-555555555555",
                "resource_group": "demo-dev",
                "cluster_name": "demo-dev",
            },
        ),
    ],
)
def test_a_cluster_says_where_it_runs(nodes: list[Any], names: list[str], expected: dict[str, str]) -> None:
    assert describe(nodes, "", [], names).found() == expected


@pytest.mark.parametrize("group", ["MC_our_group_demo_westeurope", "our-own-group", "MC_group_demo_northeurope"])
def test_ambiguous_node_group_is_never_taken_for_the_clusters(group: str) -> None:
    """AKS deletes the nodes' group together with the cluster."""
    assert describe([node(AKS.format(group), **{REGION: "westeurope"})], "", [], []).resource_group == ""


@pytest.mark.parametrize("name", ["storageclass.kubernetes.io/is-default-class"])
def test_the_issuer_and_the_default_storage_class_are_known_everywhere(name: str) -> None:
    classes: list[dict[str, Any]] = [
        {"metadata": {"name": "slow"}},
        {"metadata": {"name": "other", "annotations": {name: "false"}}},
        {"metadata": {"name": "standard", "annotations": {name: "true"}}},
    ]
    found = describe([], ISSUER, classes, []).found()
    assert found == {"oidc_issuer_url": ISSUER, "storage_class": "standard"}
