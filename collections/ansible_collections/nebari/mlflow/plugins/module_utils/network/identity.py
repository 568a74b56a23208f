# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where the metadata services answer that issue the tokens of a keyless identity, and who uses them. Pure."""

from __future__ import annotations

from typing import Any

GKE = [
    {"cidr": "169.254.169.254/32", "port": 80},  # with Dataplane V2
    {"cidr": "169.254.169.254/32", "port": 8080},
    {"cidr": "169.254.169.252/32", "port": 987},  # without it
    {"cidr": "169.254.169.252/32", "port": 988},
]
"""Where GKE's metadata server answers, for both kinds of identity.

https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity
"""
POD_IDENTITY = [{"cidr": "169.254.170.23/32", "port": 80}, {"cidr": "fd00:ec2::23/128", "port": 80}]
"""Where the agent of EKS Pod Identity answers. https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html"""

IRSA = "eks.amazonaws.com/role-arn"
KEYS = {
    "gs://": ("GOOGLE_APPLICATION_CREDENTIALS",),
    "s3://": ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE"),
}


def is_open(values: dict[str, Any], variables: set[str]) -> bool:
    """Say if the values leave open where the identity of a cloud's store comes from: no key, and nothing named."""
    storage = values["storage"]
    scheme = next((each for each in KEYS if str(storage["uri"]).startswith(each)), "")
    annotations = {**(storage["serviceAccountAnnotations"] or {}), **(values["serviceAccount"]["annotations"] or {})}
    keyed = storage["secret"] or variables & {*KEYS.get(scheme, ())} or IRSA in annotations
    elsewhere = any("ENDPOINT_URL" in name for name in variables)  # a store that is not AWS's
    return bool(scheme and not keyed and not elsewhere and not storage["network"]["metadata"])


def metadata(uri: str, provider_id: str, *, has_agent: bool) -> list[dict[str, Any]]:
    """Return the metadata services that a store without any key needs on these nodes."""
    if uri.startswith("gs://") and provider_id.startswith("gce://"):
        return GKE
    if uri.startswith("s3://") and provider_id.startswith("aws://") and has_agent:
        return POD_IDENTITY
    return []
