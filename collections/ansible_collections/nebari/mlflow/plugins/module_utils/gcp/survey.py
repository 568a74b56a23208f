# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a deployment has on Google Cloud: names, owners, and which objects are not as they should be. Reads only."""

from __future__ import annotations

from typing import Any

from ..cloud import naming
from ..cloud.ledger import Ledger
from ..cloud.survey import Survey
from ..network.identity import GKE
from . import account, bucket, member
from .client import Gcp
from .credentials import UNIVERSE

OBJECTS = "roles/storage.objectUser"
WORKLOAD_IDENTITY = "roles/iam.workloadIdentityUser"


def look(params: dict[str, Any], plan: Ledger) -> dict[str, Any]:
    """Read everything, refuse what is not ours, and return what the role's tasks need."""
    cloud, project, namespace = params["cloud_project"], params["project"], params["namespace"]
    gcp = Gcp(params, plan.progress)
    survey = Survey(plan.progress)
    owner = naming.owner_id(project, namespace, cloud)
    labels = {key: _label(value) for key, value in naming.tags(project, namespace, owner, params["labels"]).items()}
    account_id = naming.account_id(project, namespace, cloud)
    email = account.email_of(account_id, cloud)
    pool = params["workload_pool"] or f"{cloud}.svc.id.goog"
    speaker = f"serviceAccount:{pool}[{namespace}/{naming.SERVICE_ACCOUNT}]"
    direct = params["direct_identity"]
    user = _principal(gcp, pool, namespace) if direct else f"serviceAccount:{email}"
    adopt = params["adopt"] or f"{project}-mlflow-artifacts"  # as nebari-mlflow-plugin names it
    name = naming.bucket_name(project, namespace, cloud)
    chosen, found = bucket.choose(gcp, name, adopt, owner)
    adopted = chosen.name != name
    bucket.check_owner(chosen, found, owner)
    number = gcp.number  # a project that is not ours is found now, in check mode too
    known = None if direct else account.find(gcp, account_id, owner)
    if params["state"] == "present":
        bucket.ensure_present(survey.part("bucket"), chosen, found, labels, params["region"])
        if not direct:
            account.ensure_present(gcp, survey.part("account"), account_id, owner, known)
            of_account = member.Target.service_account(gcp, email)
            member.ensure_present(
                survey.part("account_member"), of_account, WORKLOAD_IDENTITY, speaker, known is not None
            )
        of_bucket = member.Target.bucket(gcp, chosen.name)
        member.ensure_present(survey.part("bucket_member"), of_bucket, OBJECTS, user, found is not None)
    stays = found is not None and (
        params["state"] == "present" or bucket.stays(chosen, found, adopted, params["delete_data"])
    )
    return {
        **survey.result(),
        "owner": owner,
        "labels": labels,
        "project_number": number,
        "bucket": {
            "name": chosen.name,
            "exists": found is not None,
            "adopted": adopted,
            "stays": stays,
            "role": OBJECTS,
            "member": user,
        },
        "account": {"id": account_id, "email": email, "role": WORKLOAD_IDENTITY, "member": speaker},
        "storage": {
            "uri": f"gs://{chosen.name}" + ("" if adopted else f"/{naming.PREFIX}"),
            # Google's library would read the bucket's metadata for its traces, which the role does not allow.
            "env": {
                "GOOGLE_CLOUD_PROJECT": cloud,
                "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA": "true",
                **({} if gcp.universe == "googleapis.com" else {UNIVERSE: gcp.universe}),
            },
            "secret": "",
            "service_account_annotations": {} if direct else {"iam.gke.io/gcp-service-account": email},
            "pod_labels": {},
            "volume": {},
            "network": {"metadata": GKE},
        },
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
