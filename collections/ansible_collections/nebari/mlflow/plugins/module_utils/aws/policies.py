# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""The documents that say who may do what. Pure."""

from __future__ import annotations

import json
from typing import Any

from ..cloud.naming import SERVICE_ACCOUNT

Document = dict[str, Any]

VERSION = "2012-10-17"
BACKUPS = "-backups"  # what the chart appends to the artifacts' place
TLS_ONLY = "NebariMlflowTlsOnly"


def irsa_trust(provider_arn: str, namespace: str) -> Document:
    """Trust exactly one service account of one cluster: `sub` and `aud` by StringEquals."""
    issuer = provider_arn.split(":oidc-provider/", 1)[1]
    return {
        "Version": VERSION,
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider_arn},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        f"{issuer}:sub": f"system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}",
                        f"{issuer}:aud": "sts.amazonaws.com",
                    }
                },
            }
        ],
    }


def pod_identity_trust(account: str, namespace: str, cluster_arn: str) -> Document:
    """Trust EKS for one cluster's service account; EKS sets the three request tags itself."""
    return {
        "Version": VERSION,
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
                "Condition": {
                    "StringEquals": {
                        "aws:SourceAccount": account,
                        "aws:RequestTag/eks-cluster-arn": cluster_arn,
                        "aws:RequestTag/kubernetes-namespace": namespace,
                        "aws:RequestTag/kubernetes-service-account": SERVICE_ACCOUNT,
                    }
                },
            }
        ],
    }


def access(bucket_arn: str, prefix: str, key_arn: str) -> Document:
    """Allow what MLflow does with artifacts, multipart uploads and their abortion included, and nothing else.

    The same for backups, which the chart keeps beside the artifacts. With an empty `prefix` the whole bucket is theirs.
    """
    places = [prefix, f"{prefix}{BACKUPS}"] if prefix else []
    listed = [each for place in places for each in (place, f"{place}/*")]
    within = {"Condition": {"StringLike": {"s3:prefix": listed}}} if listed else {}
    statements: list[Document] = [
        {"Sid": "ListArtifacts", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket_arn, **within},
        _use("UseArtifacts", f"{bucket_arn}/{prefix}/*" if prefix else f"{bucket_arn}/*"),
        *([_use("UseBackups", f"{bucket_arn}/{prefix}{BACKUPS}/*")] if prefix else []),
    ]
    if key_arn:
        # A multipart upload decrypts its parts to join them, so writing needs both.
        statements.append(
            {
                "Sid": "UseKey",
                "Effect": "Allow",
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": key_arn,
            }
        )
    return {"Version": VERSION, "Statement": statements}


def _use(sid: str, objects: str) -> Document:
    actions = ["GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload", "ListMultipartUploadParts"]
    return {"Sid": sid, "Effect": "Allow", "Action": [f"s3:{action}" for action in actions], "Resource": objects}


def with_tls_only(policy: Document | None, bucket_arn: str) -> Document:
    """Return the bucket policy with our statement; all statements that others made stay as they are."""
    policy = policy or {"Version": VERSION, "Statement": []}
    statement = {
        "Sid": TLS_ONLY,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    ours = [each for each in statements if each.get("Sid") == TLS_ONLY]
    if len(ours) == 1 and canonical(ours[0]) == canonical(statement):
        return policy
    return {**policy, "Statement": [*(each for each in statements if each.get("Sid") != TLS_ONLY), statement]}


def canonical(document: Any) -> Any:
    """Return a form in which two documents that mean the same are equal: order and single-item lists do not count."""
    if isinstance(document, dict):
        if set(document) == {"AWS"} and document["AWS"] == "*":
            return "*"
        return {key: canonical(value) for key, value in document.items()}
    if isinstance(document, list):
        items = sorted((canonical(item) for item in document), key=lambda item: json.dumps(item, sort_keys=True))
        return items[0] if len(items) == 1 else items
    return document
