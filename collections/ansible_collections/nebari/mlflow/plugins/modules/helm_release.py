#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Install and upgrade one Helm release, so that a second run changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: helm_release
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Deploy one Helm release and repair its drift
seealso:
  - module: nebari.mlflow.release_removal
    description: Finds what has to go when the release is removed.
description:
  - Installs or upgrades a Helm chart. M(nebari.mlflow.workloads_ready) waits for its workloads, and
    M(nebari.mlflow.helm_test) runs its tests.
  - A second run changes nothing and writes nothing, not even a new revision. What differs is found by comparing Helm's
    record with the rendered chart, and each live object with a server-side dry run, so drift is seen and repaired.
  - Whatever ended the last run, the next one finishes the job. It resumes a release that was left pending or
    failed, replaces a Job that gave up, and removes objects of interrupted revisions.
  - Two runs for one release take turns by a Lease in the namespace; the second one fails and says who is first.
notes:
  - Everything runs on the controller or wherever the task runs, so that host needs Helm and a kubeconfig.
  - O(values) must hold no secrets, because Helm stores them in its release record. Name Secrets in them instead.
  - What another chart or someone's hand made under the same name is never changed or deleted; the run fails before
    its first write, and says what it found.
  - In check mode nothing is written. The planned RV(changes) are what a run would then do.
requirements:
  - helm >= 3.15, < 4
  - kubernetes >= 27.2 (Python)
extends_documentation_fragment: nebari.mlflow.cluster
options:
  name:
    description: Name of the release, at most 53 characters. The Lease has the same name.
    type: str
    required: true
  namespace:
    description: Namespace of the release.
    type: str
    required: true
  chart:
    description:
      - Path of the chart, a directory or a packed chart.
      - A release of that name that was made from another chart is refused.
    type: path
    required: true
  values:
    description: Values for the chart. Its defaults fill in the rest; values of earlier revisions are not reused.
    type: dict
    default: {}
  state:
    description:
      - With V(present), the release is deployed.
      - With V(planned), nothing is written. It returns what V(present) would do, and fails if V(present) would, also
        for rights that are missing unless in check mode. Use it before you create what the release needs.
      - With V(examined), nothing is written. It fails if V(present) would, because the release, a volume claim or a
        Secret is someone else's, or a Secret is lost. With O(values) it also fails if the chart refuses them or the
        cluster lacks a class that they name. Use it before you create something for the release elsewhere.
    type: str
    choices: [present, planned, examined]
    default: present
  secrets:
    description:
      - Secrets that pods of the release need, as M(nebari.mlflow.generated_secret) takes them. This module only reads
        them. With V(present) they must exist. Workloads restart after a value was generated again.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the Secret.
        type: str
        required: true
      keys:
        description:
          - The keys, each with the kind of value to generate.
          - V(alphanumeric) is 32 characters of C([A-Za-z0-9]). V(fernet) is 32 random bytes in URL-safe base64.
        type: dict
        required: true
      opens:
        description:
          - The data that cannot be used without the Secret, as C(claim/NAME) for a volume claim, or C(release) for
            what the release keeps outside the cluster.
          - While it exists, a Secret or key that is missing or empty stops the deploy before anything is written.
        type: str
        default: ""
      loss:
        description: What a new Secret would cost, as a sentence for the message that names the ways on.
        type: str
        default: ""
  new_secrets:
    description:
      - Names of O(secrets) that may be missing although what they open exists, because they are generated again.
    type: list
    elements: str
    default: []
  network:
    description:
      - Whether to complete C(networkPolicy) of O(values), for a chart with the values C(networkPolicy.dns),
        C(networkPolicy.dnsPorts), C(networkPolicy.egress) and C(networkPolicy.ingressController).
      - The cluster is asked which pods and ports are behind its DNS, behind the Services that the environment names,
        and which controller serves the route. Values that O(values) gives itself stay as they are.
      - What keeps people from reaching the route is a warning.
    type: bool
    default: false
  create_namespace:
    description: Whether to create the namespace when it is missing.
    type: bool
    default: true
  namespace_labels:
    description: Labels of a namespace that is created. One that exists keeps its own.
    type: dict
    default: {}
  helm:
    description: The Helm program, a name found on E(PATH) or a path.
    type: str
    default: helm
  timeout:
    description: Seconds that Helm may take.
    type: int
    default: 600
attributes:
  check_mode:
    description: Plans with server-side dry runs and writes nothing.
    support: full
  diff_mode:
    description: Shows each object before and after. Values of Secrets are hidden.
    support: full
"""

EXAMPLES = r"""
- name: Deploy a chart
  nebari.mlflow.helm_release:
    name: demo
    namespace: dev
    chart: "{{ role_path }}/files/chart"
    values:
      existingSecret: demo-database

- name: See what would change
  nebari.mlflow.helm_release:
    name: demo
    namespace: dev
    chart: "{{ role_path }}/files/chart"
    state: planned
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: V(create), V(update), V(delete), or V(recover) an interrupted revision.
      type: str
    kind:
      description: Kind of the object; V(Release) is the Helm release itself.
      type: str
    name:
      description: Its name.
      type: str
    namespace:
      description: Its namespace, empty for a cluster-wide object.
      type: str
    fields:
      description: The first twelve fields that differ, as dotted paths.
      type: list
      elements: str
  sample:
    - {action: update, kind: Deployment, name: demo-tracking, namespace: dev, fields: [spec.replicas]}
revision:
  description: Helm's newest revision, 0 if there is none.
  returned: success
  type: int
status:
  description: Helm's status of that revision, V(absent) if there is none.
  returned: success
  type: str
chart_version:
  description: Version of the chart that was asked for.
  returned: success
  type: str
app_version:
  description: The chart's appVersion.
  returned: success
  type: str
ready:
  description: Whether all workloads of that revision are ready.
  returned: success
  type: bool
verified:
  description: Whether the chart's tests have passed for that revision. True for a chart without tests.
  returned: success
  type: bool
missing_secrets:
  description: Names of O(secrets) that are missing or incomplete.
  returned: success
  type: list
  elements: str
upgrade:
  description:
    - What an upgrade of the release's database starts from, with O(state=planned). Empty if the image of the Deployment
      that the chart annotates with C(mlflow.nebari.dev/upgraded-by) stays, and no upgrade was cut off.
    - Holds the images (C(from), C(to)), the note of an upgrade that was cut off, and the CronJob and the ConfigMaps
      that its Jobs are made from.
  returned: success
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

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nebari.mlflow.plugins.module_utils.kube import access
from ansible_collections.nebari.mlflow.plugins.module_utils.release.changes import Outcome
from ansible_collections.nebari.mlflow.plugins.module_utils.release.deploy import ensure_planned, ensure_present
from ansible_collections.nebari.mlflow.plugins.module_utils.release.examined import ensure_examined
from ansible_collections.nebari.mlflow.plugins.module_utils.release.frame import HIDDEN, SECRETS, of_release, run_module

ARGUMENTS: dict[str, dict[str, Any]] = {
    **access.ARGUMENTS,
    **HIDDEN,
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "chart": {"type": "path", "required": True},
    "values": {"type": "dict", "default": {}},
    "state": {"type": "str", "choices": ["present", "planned", "examined"], "default": "present"},
    "secrets": {**SECRETS, "default": []},
    "new_secrets": {"type": "list", "elements": "str", "no_log": False, "default": []},
    "network": {"type": "bool", "default": False},
    "create_namespace": {"type": "bool", "default": True},
    "namespace_labels": {"type": "dict", "default": {}},
    "helm": {"type": "str", "default": "helm"},
    "timeout": {"type": "int", "default": 600},
}

ENSURE = {
    "present": ensure_present,
    "planned": ensure_planned,
    "examined": ensure_examined,
}


def fields(outcome: Outcome) -> dict[str, Any]:
    """Return what this module says beyond what all do."""
    return {
        **of_release(outcome),
        "chart_version": outcome.chart.get("version", ""),
        "app_version": outcome.chart.get("appVersion", ""),
        "missing_secrets": outcome.missing_secrets,
        "upgrade": outcome.upgrade,
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run_module(module, ENSURE[module.params["state"]], fields, with_helm=True)


if __name__ == "__main__":
    main()
