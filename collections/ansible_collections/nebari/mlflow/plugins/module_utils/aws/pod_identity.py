# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""EKS Pod Identity: the cluster itself says which role a service account takes."""

from __future__ import annotations

from typing import Any

from ..cloud.errors import foreign
from ..cloud.ledger import Ledger
from ..cloud.naming import OWNER, SERVICE_ACCOUNT
from .client import Aws

KIND = "Pod Identity association"


def ensure_present(
    aws: Aws, plan: Ledger, cluster: str, namespace: str, found: dict[str, Any] | None, role_arn: str,
    tags: dict[str, str]
) -> None:  # fmt: skip
    """Create or correct the association; `found` is the one that there is."""
    name = f"{cluster}/{namespace}/{SERVICE_ACCOUNT}"
    if found is None:
        plan.create(
            KIND,
            name,
            {"role": role_arn},
            lambda: aws.call(
                "eks",
                "create_pod_identity_association",
                absent=("ResourceInUseException",),
                clusterName=cluster,
                namespace=namespace,
                serviceAccount=SERVICE_ACCOUNT,
                roleArn=role_arn,
                tags=tags,
            ),
        )
        return
    plan.update(
        KIND,
        name,
        {"role": found["roleArn"]},
        {"role": role_arn},
        lambda _: aws.call(
            "eks",
            "update_pod_identity_association",
            clusterName=cluster,
            associationId=found["associationId"],
            roleArn=role_arn,
        ),
    )


def check_owner(found: dict[str, Any] | None, cluster: str, namespace: str, role_arn: str, owner: str) -> None:
    """Refuse an association that gives another role and does not carry our mark."""
    if found is None or found["roleArn"] == role_arn:
        return
    theirs = found.get("tags", {}).get(OWNER, found["roleArn"])
    if theirs != owner:
        raise foreign(KIND, f"{cluster}/{namespace}/{SERVICE_ACCOUNT}", theirs, owner)


def ensure_absent(aws: Aws, plan: Ledger, cluster: str, namespace: str, role_arn: str) -> None:
    """Delete the association, if it gives our role. With a cluster that has gone, it has gone too."""
    found = find(aws, cluster, namespace, absent=("ResourceNotFoundException",))
    if found is not None and found["roleArn"] == role_arn:
        plan.delete(
            KIND,
            f"{cluster}/{namespace}/{SERVICE_ACCOUNT}",
            lambda: aws.call(
                "eks",
                "delete_pod_identity_association",
                absent=("ResourceNotFoundException",),
                clusterName=cluster,
                associationId=found["associationId"],
            ),
        )


def find(aws: Aws, cluster: str, namespace: str, absent: tuple[str, ...] = ()) -> dict[str, Any] | None:
    """Return the association of our service account, None without one. A cluster that does not exist is an error."""
    listed = aws.call(
        "eks",
        "list_pod_identity_associations",
        absent=absent,
        clusterName=cluster,
        namespace=namespace,
        serviceAccount=SERVICE_ACCOUNT,
    )
    if listed is None or not listed["associations"]:
        return None
    first = listed["associations"][0]["associationId"]
    association: dict[str, Any] = aws.call(
        "eks", "describe_pod_identity_association", clusterName=cluster, associationId=first
    )["association"]
    return association
