# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Storage and identity on Google Cloud, whole."""

from __future__ import annotations

from typing import Any

from ..cloud import naming
from ..cloud.plan import Plan
from . import account, bucket, member
from .client import Gcp

OBJECTS = "roles/storage.objectUser"
WORKLOAD_IDENTITY = "roles/iam.workloadIdentityUser"

METADATA = [
    {"cidr": "169.254.169.254/32", "port": 80},  # with Dataplane V2
    {"cidr": "169.254.169.254/32", "port": 8080},
    {"cidr": "169.254.169.252/32", "port": 987},  # without it
    {"cidr": "169.254.169.252/32", "port": 988},
]
"""Where GKE's metadata server answers, for both kinds of identity.

https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity
"""


def converge(params: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Bring everything to its state, and return the storage."""
    cloud, project, namespace = params["cloud_project"], params["project"], params["namespace"]
    gcp = Gcp(cloud, plan.progress)
    owner = naming.owner_id(project, namespace, cloud)
    labels = {key: _label(value) for key, value in naming.tags(project, namespace, owner, params["labels"]).items()}
    account_id = naming.account_id(project, namespace, cloud)
    email = account.email_of(account_id, cloud)
    pool = params["workload_pool"] or f"{cloud}.svc.id.goog"
    subject = f"{pool}[{namespace}/{naming.SERVICE_ACCOUNT}]"
    direct = params["direct_identity"]
    user = _principal(gcp, pool, namespace) if direct else f"serviceAccount:{email}"
    adopt = params["adopt"] or f"{project}-mlflow-artifacts"  # as nebari-mlflow-plugin names it
    name = naming.bucket_name(project, namespace, cloud)
    chosen, found = bucket.choose(gcp, name, adopt, labels[naming.OWNER])
    prefix = naming.PREFIX if chosen.name == name else ""
    # All is read before anything is changed: each of these may turn out to be somebody else's.
    bucket.check_owner(chosen, found, labels[naming.OWNER])
    _ = gcp.number  # a project that is not ours is found now, in check mode too
    known = None if direct else account.find(gcp, account_id, owner)
    of_bucket = member.Target.bucket(gcp, chosen.name)
    if params["state"] == "absent":
        data = params["delete_data"] and found is not None
        fate = bucket.fate(chosen, found or {}, chosen.name != name) if data else None
        if found is not None and (fate is None or fate.reason):
            member.ensure_absent(plan, of_bucket, OBJECTS, user)
        if known is not None:
            account.ensure_absent(gcp, plan, account_id, WORKLOAD_IDENTITY, f"serviceAccount:{subject}")
        if fate is not None:
            bucket.ensure_absent(plan, chosen, fate)
        elif found is not None:
            plan.keep(bucket.KIND, chosen.name)
    else:
        bucket.ensure_present(plan, chosen, found, labels, params["region"])
        if not direct:
            account.ensure_present(gcp, plan, account_id, owner, known)
            of_account = member.Target.service_account(gcp, email)
            speaker = f"serviceAccount:{subject}"
            member.ensure_present(plan, of_account, WORKLOAD_IDENTITY, speaker, known is not None)
        member.ensure_present(plan, of_bucket, OBJECTS, user, found is not None)
    return {
        "uri": f"gs://{chosen.name}/{prefix}".rstrip("/"),
        # Google's library reads the bucket's description for its traces, which nobody asked for and the role forbids.
        "env": {"GOOGLE_CLOUD_PROJECT": cloud, "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA": "true"},
        "secret": "",
        "service_account_annotations": {} if direct else {"iam.gke.io/gcp-service-account": email},
        "pod_labels": {},
        "volume": {},
        "network": {"metadata": METADATA},
    }


def _principal(gcp: Gcp, pool: str, namespace: str) -> str:
    """Return the cluster's service account as a member by itself.

    https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity#configure-authz-principals
    """
    return (
        f"principal://iam.googleapis.com/projects/{gcp.number}/locations/global/"
        f"workloadIdentityPools/{pool}/subject/ns/{namespace}/sa/{naming.SERVICE_ACCOUNT}"
    )


def _label(value: str) -> str:
    """Return a value that a label may have: at most 63 lower-case letters, digits, dashes and underscores."""
    return "".join(each if each.isalnum() or each in "-_" else "-" for each in value.lower())[:63]
