#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Find what goes and what stays when a Helm release is removed, and wait for it to go."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_removal
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Find what goes when a Helm release is removed
description:
  - Returns what a release consists of, so that M(kubernetes.core.k8s) can delete it, and waits for what was deleted.
    It deletes nothing but its Lease.
  - A removal that was killed is found as well, with the objects of every revision. M(kubernetes.core.helm) does
    nothing for such a release.
  - From V(begun) to V(finished), the play holds the release's Lease, so no deploy works in between. The Lease of a
    play that was killed ends with it on this host, and after 120 seconds on other hosts.
notes:
  - The Lease is held between the tasks only if the play runs on this host, with C(connection=local).
  - The order of RV(objects), V(stopped), RV(records), RV(data), V(finished) lets the next run finish what a killed
    one left.
requirements:
  - kubernetes >= 27.2 (Python)
extends_documentation_fragment: nebari.mlflow.cluster
options:
  name:
    description: Name of the release.
    type: str
    required: true
  namespace:
    description: Namespace of the release. It always stays.
    type: str
    required: true
  chart:
    description:
      - Path of the chart, a directory or a packed chart. A release of that name that was made from another chart is
        refused, and so are its claims.
      - Without a chart, only volume claims that Helm's record mentions count as data.
    type: path
  state:
    description:
      - With V(begun), nothing is written but the Lease, and not even that in check mode or if there is nothing to
        remove. It fails if the release is someone else's, if another deploy runs, or if a right is missing.
      - With V(stopped), it waits until the pods of the release have ended.
      - With V(finished), it waits until O(gone) is gone, and deletes the Lease.
    type: str
    choices: [begun, stopped, finished]
    required: true
  secrets:
    description: Secrets that M(nebari.mlflow.generated_secret) generated. A Secret that you created yourself stays.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the Secret.
        type: str
        required: true
      keys:
        description: The keys, each with the kind of value.
        type: dict
        required: true
      opens:
        description: The data that cannot be used without the Secret.
        type: str
        default: ""
      loss:
        description: What a new Secret would cost.
        type: str
        default: ""
  delete_data:
    description: Whether volume claims and O(secrets) go too. The data cannot be brought back.
    type: bool
    default: false
  gone:
    description: With O(state=finished), the RV(data) of V(begun).
    type: list
    elements: dict
    default: []
  timeout:
    description: Seconds to wait.
    type: int
    default: 600
attributes:
  check_mode:
    description: Looks and writes nothing.
    support: full
  diff_mode:
    description: Shows each object that goes. Values of Secrets are hidden.
    support: full
"""

EXAMPLES = r"""
- name: See what is there and whose it is
  nebari.mlflow.release_removal:
    name: demo
    namespace: dev
    chart: charts/demo
    state: begun
  register: found

- name: Delete the objects of every revision
  kubernetes.core.k8s:
    definition: "{{ found.objects }}"
    state: absent
  when: found.objects | length > 0

- name: Wait for the pods to end
  nebari.mlflow.release_removal:
    name: demo
    namespace: dev
    state: stopped
  when: found.objects | length > 0

- name: Delete Helm's records
  kubernetes.core.k8s:
    definition: "{{ found.records }}"
    state: absent
  when: found.records | length > 0

- name: Finish the removal
  nebari.mlflow.release_removal:
    name: demo
    namespace: dev
    state: finished
  when: found.changes | length > 0
"""

RETURN = r"""
changes:
  description: What goes, in this order, with V(begun).
  returned: success
  type: list
  elements: dict
  sample:
    - {action: delete, kind: Deployment, name: demo-tracking, namespace: dev}
kept:
  description: The volume claims and generated Secrets that stay, without O(delete_data).
  returned: success
  type: list
  elements: dict
  sample:
    - {kind: PersistentVolumeClaim, name: data-demo-postgresql-0, namespace: dev}
objects:
  description: The objects of all revisions, for C(definition) of M(kubernetes.core.k8s).
  returned: if O(state=begun)
  type: list
  elements: dict
records:
  description: Helm's records, for C(definition) of M(kubernetes.core.k8s).
  returned: if O(state=begun)
  type: list
  elements: dict
data:
  description: The volume claims and Secrets that go, with O(delete_data). C(uid) is for C(preconditions).
  returned: if O(state=begun)
  type: list
  elements: dict
  sample:
    - {kind: PersistentVolumeClaim, name: data-demo-postgresql-0, namespace: dev, uid: 5b0d3c7e}
connection:
  description:
    - Options with which the modules of kubernetes.core reach the same cluster as the same user. Without them they
      prefer a pod's own service account to E(KUBECONFIG), and ignore E(HTTPS_PROXY), E(SSL_CERT_FILE), and a
      kubeconfig's proxy and the user that it impersonates.
    - Other options of this module are not repeated.
  returned: success
  type: dict
environment:
  description: A variable for the tasks that delete. It lets the next run wait for a task whose play was killed.
  returned: if O(state=begun)
  type: dict
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

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.kube import access
from ansible_collections.nebari.mlflow.plugins.module_utils.release.changes import Outcome
from ansible_collections.nebari.mlflow.plugins.module_utils.release.frame import HIDDEN, SECRETS, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.release.removal import (
    ensure_begun,
    ensure_finished,
    ensure_stopped,
)

ARGUMENTS: dict[str, dict[str, Any]] = {
    **access.ARGUMENTS,
    **HIDDEN,
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "chart": {"type": "path"},
    "state": {"type": "str", "choices": ["begun", "stopped", "finished"], "required": True},
    "secrets": {**SECRETS, "default": []},
    "delete_data": {"type": "bool", "default": False},
    "gone": {"type": "list", "elements": "dict", "default": []},
    "timeout": {"type": "int", "default": 600},
}
ENSURE = {"begun": ensure_begun, "stopped": ensure_stopped, "finished": ensure_finished}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        connection = access.same_for_kubernetes_core(module.params, os.environ)
    except ReleaseError as error:
        module.fail_json(**error.report(), elapsed=0.0)

    def fields(outcome: Outcome) -> dict[str, Any]:
        return {"kept": outcome.kept, "connection": connection, **outcome.parts}

    run_module(module, ENSURE[module.params["state"]], fields, with_helm=False)


if __name__ == "__main__":
    main()
