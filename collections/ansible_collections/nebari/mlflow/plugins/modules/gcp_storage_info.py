#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Look at who owns a deployment's storage and identity on Google Cloud, before anything is changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gcp_storage_info
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Look at a deployment's storage and identity on Google Cloud
description:
  - Reads the bucket, the service account and their IAM policies, and refuses what another deployment or another project
    owns. Returns the derived names, and which of the role's tasks have something to do.
  - Everything carries the label or description C(nebari-mlflow-owner). What carries another owner's is refused.
extends_documentation_fragment:
  - nebari.mlflow.cloud.look
  - nebari.mlflow.cloud.gcp
options:
  project:
    description: Name of the deployment's project. With O(namespace) and O(cloud_project), it makes the names.
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
      - Needs fewer permissions.
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
"""

EXAMPLES = r"""
- name: See who owns what
  nebari.mlflow.gcp_storage_info:
    project: demo
    namespace: dev
    cloud_project: our-project-123
    region: europe-west1
  register: found
"""

RETURN = r"""
owner:
  description: Mark of the deployment.
  returned: success
  type: str
  sample: demo-0a1b2c3d
labels:
  description: Labels of the bucket, the mark among them.
  returned: success
  type: dict
  sample: {project: demo, namespace: dev, managed-by: nebari-mlflow, nebari-mlflow-owner: demo-0a1b2c3d}
project_number:
  description: Number of the Google Cloud project.
  returned: success
  type: str
  sample: "4711"
bucket:
  description:
    - The bucket, with the O(nebari.mlflow.gcp_iam_member#module:role) and member to grant on it.
    - C(stays) says whether it remains, which with O(delete_data) depends on what other people keep in it.
  returned: success
  type: dict
  sample:
    name: demo-mlflow-0a1b2c3d
    exists: true
    adopted: false
    stays: true
    role: roles/storage.objectUser
    member: serviceAccount:demo-mlflow-0a1b2c3d@our-project-123.iam.gserviceaccount.com
account:
  description: The service account, with the role and member to grant on it.
  returned: success
  type: dict
  sample:
    id: demo-mlflow-0a1b2c3d
    email: demo-mlflow-0a1b2c3d@our-project-123.iam.gserviceaccount.com
    role: roles/iam.workloadIdentityUser
    member: serviceAccount:our-project-123.svc.id.goog[dev/nebari-mlflow]
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
  description: What the role's tasks would change with O(state=present), in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: update, kind: bucket, name: demo-mlflow-0a1b2c3d, fields: [versioning]}
due:
  description: The objects whose task has something to do with O(state=present).
  returned: success
  type: list
  elements: str
  sample: [bucket, account, account_member, bucket_member]
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
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry import LOOK, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.gcp.credentials import OF_CLOUD
from ansible_collections.nebari.mlflow.plugins.module_utils.gcp.survey import look

ARGUMENTS: dict[str, dict[str, Any]] = {
    **LOOK,
    **OF_CLOUD,
    "region": {"type": "str", "required": True},
    "workload_pool": {"type": "str", "default": ""},
    "direct_identity": {"type": "bool", "default": False},
    "labels": {"type": "dict", "default": {}},
}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), look, "Google Cloud")


if __name__ == "__main__":
    main()
