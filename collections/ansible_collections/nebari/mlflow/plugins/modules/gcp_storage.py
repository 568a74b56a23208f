#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Keep a bucket for artifacts and an identity that one Kubernetes service account has."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gcp_storage
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Keep a Google Cloud Storage bucket and a keyless identity that may use it
description:
  - Creates and repairs a bucket, a service account, and two IAM members, so that one Kubernetes service account,
    C(nebari-mlflow), may use the objects of that bucket and nothing else.
  - Reads before it writes and patches only what differs, so a second run makes no write call. Labels, lifecycle and
    IAM members that others made stay. IAM policies are written with their etag and read again on a conflict.
  - Everything carries the label or description C(nebari-mlflow-owner). What carries another owner's is refused.
notes:
  - Credentials are E(GCP_ACCESS_TOKEN), E(GOOGLE_CREDENTIALS) (a key or its file), or the application default ones.
extends_documentation_fragment: nebari.mlflow.cloud
requirements:
  - google-auth >= 2.20
  - requests >= 2.20
options:
  project:
    description: Name of the deployment's project. With O(namespace) and O(cloud_project), it makes the names.
    type: str
    required: true
  cloud_project:
    description: Id of the Google Cloud project.
    type: str
    required: true
  region:
    description: Location of the bucket, a region or V(US), V(EU), V(ASIA).
    type: str
    required: true
  workload_pool:
    description: Workload identity pool of the cluster. Empty is C(PROJECT.svc.id.goog).
    type: str
    default: ""
  direct_identity:
    description:
      - Whether to grant the bucket to the Kubernetes service account itself, without a Google service account.
      - Needs fewer permissions, and the project's number is read.
    type: bool
    default: false
  labels:
    description: More labels for the bucket.
    type: dict
    default: {}
  adopt:
    description:
      - Existing bucket of this project to adopt if the default bucket does not exist. It is never deleted.
      - Empty is the name that nebari-mlflow-plugin used, C({project}-mlflow-artifacts).
    type: str
    default: ""
  delete_data:
    description:
      - With O(state=absent), also delete every version of every artifact, then the bucket.
      - A bucket that was adopted, holds other objects or has a retention policy stays.
      - The bucket's soft delete keeps the objects for seven days more; then they cannot be brought back.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Keep a bucket and an identity for a GKE cluster
  nebari.mlflow.gcp_storage:
    project: demo
    namespace: dev
    cloud_project: our-project-123
    region: europe-west1

- name: Remove the identity, keep the bucket
  nebari.mlflow.gcp_storage:
    project: demo
    namespace: dev
    cloud_project: our-project-123
    region: europe-west1
    state: absent
"""

RETURN = r"""
storage:
  description: Where artifacts live and what a pod needs to reach them, in the shape that every provider role returns.
  returned: success
  type: dict
  sample:
    uri: gs://demo-mlflow-0a1b2c3d/artifacts
    env: {GOOGLE_CLOUD_PROJECT: our-project-123, DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA: "true"}
    secret: ""
    service_account_annotations:
      iam.gke.io/gcp-service-account: demo-mlflow-0a1b2c3d@our-project-123.iam.gserviceaccount.com
    pod_labels: {}
    volume: {}
    network:
      metadata:
        - {cidr: 169.254.169.254/32, port: 80}
        - {cidr: 169.254.169.254/32, port: 8080}
        - {cidr: 169.254.169.252/32, port: 987}
        - {cidr: 169.254.169.252/32, port: 988}
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: update, kind: bucket, name: demo-mlflow-0a1b2c3d, fields: [versioning]}
kept:
  description:
    - What stays after O(state=absent), each with C(kind) and C(name), and with C(reason) if O(delete_data=true) or the
      removal of the identity spares it, because it holds something of other people's or was adopted.
  returned: success
  type: list
  elements: dict
elapsed:
  description: Seconds that the module ran.
  returned: always
  type: float
code:
  description: Code of the page that is about this failure, such as V(NML403).
  returned: failure
  type: str
cause:
  description: What went wrong, naming the object and the value.
  returned: failure
  type: str
fix:
  description: What to do about it.
  returned: failure
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry import COMMON, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.gcp.storage import converge

ARGUMENTS: dict[str, dict[str, Any]] = {
    **COMMON,
    "cloud_project": {"type": "str", "required": True},
    "region": {"type": "str", "required": True},
    "workload_pool": {"type": "str", "default": ""},
    "direct_identity": {"type": "bool", "default": False},
    "labels": {"type": "dict", "default": {}},
}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), converge)


if __name__ == "__main__":
    main()
