# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Derive where a cluster runs from what its own objects say. Pure: nothing here makes a call.

Sources: node.spec.providerID and the labels of the cloud providers' controllers, the issuer of
/.well-known/openid-configuration, and the exec arguments of the kubeconfig that `aws eks update-kubeconfig` writes.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

REGION_LABELS = ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
AZURE_NODE = re.compile(r"azure:///subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)/", re.I)
GOOGLE_NODE = re.compile(r"gce://(?P<project>[^/]+)/(?P<zone>[^/]+)/")
AWS_NODE = re.compile(r"aws:///(?P<zone>[^/]+)/")
EKS_CLUSTER = re.compile(r"arn:[^:]+:eks:(?P<region>[^:]+):(?P<account>[0-9]{12}):cluster/(?P<name>.+)")


@dataclass(frozen=True)
class ClusterFacts:
    """What a cluster says about itself; an empty text is what it does not say."""

    provider: str = ""  # aws, azure or gcp
    region: str = ""
    oidc_issuer_url: str = ""
    cluster_name: str = ""
    account: str = ""  # of AWS
    project: str = ""  # of Google Cloud
    subscription_id: str = ""  # of Azure
    resource_group: str = ""  # of the AKS cluster, not that of its nodes
    storage_class: str = ""  # the default one

    def found(self) -> dict[str, str]:
        """Return the facts that are known."""
        return {name: value for name, value in asdict(self).items() if value}


def describe(
    nodes: list[dict[str, Any]], issuer: str, classes: list[dict[str, Any]], kubeconfig_names: list[str]
) -> ClusterFacts:
    """Derive the facts from nodes, the token issuer, StorageClasses and the names of a kubeconfig's cluster entry."""
    node = nodes[0] if nodes else {}
    labels = (node.get("metadata") or {}).get("labels") or {}
    provider_id = str((node.get("spec") or {}).get("providerID") or "")
    region = next((labels[name] for name in REGION_LABELS if labels.get(name)), "")
    common = {"oidc_issuer_url": issuer, "storage_class": _default_class(classes)}
    if match := AZURE_NODE.match(provider_id):
        group, cluster = _aks(match["group"], region)
        return ClusterFacts(
            "azure", region, cluster_name=cluster, subscription_id=match["subscription"], resource_group=group, **common
        )
    if match := GOOGLE_NODE.match(provider_id):
        return ClusterFacts("gcp", region or match["zone"].rpartition("-")[0], project=match["project"], **common)
    if match := AWS_NODE.match(provider_id):
        named = next(filter(None, map(EKS_CLUSTER.fullmatch, kubeconfig_names)), None)
        return ClusterFacts(
            "aws",
            region or match["zone"].rstrip("abcdefghijklmnopqrstuvwxyz"),
            cluster_name=named["name"] if named else "",
            account=named["account"] if named else "",
            **common,
        )
    return ClusterFacts(**common)


def _default_class(classes: list[dict[str, Any]]) -> str:
    for item in classes:
        annotations = item["metadata"].get("annotations") or {}
        if any(annotations.get(name) == "true" for name in DEFAULT_CLASS):
            return str(item["metadata"]["name"])
    return ""


def _aks(node_group: str, region: str) -> tuple[str, str]:
    """Return the resource group and name of an AKS cluster, if its nodes' group MC_{group}_{name}_{region} tells.

    AKS deletes the nodes' own group together with the cluster, so nothing of ours may be in it. A group or a name that
    contains `_` makes it ambiguous.
    """
    parts = node_group.split("_")
    if len(parts) == 4 and parts[0].upper() == "MC" and parts[3].lower() == region.lower():
        return parts[1], parts[2]
    return "", ""
