#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Install, upgrade, prove and remove one Helm release, so that a second run changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Keep one Helm release deployed, ready and proven
description:
  - Installs or upgrades a Helm chart, waits until its workloads are ready, and uses it by running the chart's tests.
    The state is done only when the tests of the newest revision have passed.
  - A second run changes nothing and writes nothing, not even a new revision. What differs is found by comparing Helm's
    record with the rendered chart, and each live object with a server-side dry run, so drift is seen and repaired.
  - Whatever ended the last run, the next one finishes the job. A release left pending or failed is taken up again, a
    Job that gave up is made anew, and objects of interrupted revisions are removed.
  - Two runs for one release take turns by a Lease in the namespace; the second one fails and says who is first.
  - Waiting ends early, with the cause and the fix, when a cause is certain to stay, such as a missing image.
notes:
  - Everything runs on the controller or wherever the task runs, so that host needs Helm and a kubeconfig.
  - O(values) must hold no secrets, because Helm stores them in its release record. Name Secrets in them instead.
  - What another chart or someone's hand made under the same name is never changed or deleted; the run fails before
    its first write, and says what it found.
  - In check mode nothing is written. The planned RV(changes) are what a run would then do.
requirements:
  - helm >= 3.15, < 4
  - kubernetes >= 27.2 (Python)
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
      - Path of the chart, a folder or a packed chart. Required unless O(state=absent).
      - A release of that name that was made from another chart is refused, with V(absent), too. Without a chart,
        V(absent) cannot tell, and deletes no volume claims but those that the release record mentions.
    type: path
  values:
    description: Values for the chart. Its defaults fill in the rest; values of earlier revisions are not reused.
    type: dict
    default: {}
  state:
    description:
      - With V(present), the release is deployed.
      - With V(absent), it is uninstalled. Volume claims, objects marked C(helm.sh/resource-policy=keep) and
        O(secrets) stay, unless O(delete_data) says otherwise. The namespace always stays.
      - With V(examined), nothing is written. It fails if V(present) would, because the release, a volume claim or a
        Secret is someone else's, or a Secret is lost. Use it before you create something for the release elsewhere.
    type: str
    choices: [present, absent, examined]
    default: present
  secrets:
    description:
      - Secrets that are generated once. A key that has a value is never changed; one that is missing or empty is
        generated, unless it is lost while what it opens exists.
      - They do not belong to Helm, so uninstalling leaves them, and a new install finds them with the data.
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
      - Names of O(secrets) to generate again although what they open exists, because no backup is left.
      - It acts only while the Secret or a key of it is missing. Workloads that use it are restarted then.
    type: list
    elements: str
    default: []
  delete_data:
    description:
      - With O(state=absent), also delete the release's volume claims and those of O(secrets) that this module made.
      - The data cannot be brought back.
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
  kubeconfig:
    description: Path of the kubeconfig. Without it, E(KUBECONFIG), C(~/.kube/config), or a pod's own service account.
    type: path
  context:
    description: Context of the kubeconfig. Without it, its current one.
    type: str
  helm:
    description: The Helm program, a name found on E(PATH) or a path.
    type: str
    default: helm
  timeout:
    description: Seconds to wait for the workloads and the tests, together. The tests get O(verify_timeout) in any case.
    type: int
    default: 600
  verify:
    description: Whether to run the chart's tests (C(helm test)) after a change, and until they have passed.
    type: bool
    default: true
  verify_timeout:
    description:
      - Seconds that the tests may take at least, also when O(timeout) leaves them less.
      - The right to a cloud's storage needs up to ten minutes to work, and the tests are what waits for it.
    type: int
    default: 60
attributes:
  check_mode:
    description: Plans with server-side dry runs and writes nothing.
    support: full
  diff_mode:
    description: Shows each object before and after. Values of Secrets are hidden.
    support: full
"""

EXAMPLES = r"""
- name: Deploy a chart with a password that is generated once
  nebari.mlflow.release:
    name: demo
    namespace: dev
    chart: "{{ role_path }}/files/chart"
    values:
      existingSecret: demo-database
    secrets:
      - name: demo-database
        keys:
          password: alphanumeric

- name: See what would change
  nebari.mlflow.release:
    name: demo
    namespace: dev
    chart: "{{ role_path }}/files/chart"
  check_mode: true
  diff: true

- name: Uninstall, keeping volumes and Secrets
  nebari.mlflow.release:
    name: demo
    namespace: dev
    state: absent

- name: Uninstall and delete the data
  nebari.mlflow.release:
    name: demo
    namespace: dev
    chart: "{{ role_path }}/files/chart"
    state: absent
    delete_data: true
    secrets:
      - name: demo-database
        keys:
          password: alphanumeric
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: V(create), V(update), V(delete), V(recover) an interrupted revision, or V(verify) by the tests.
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
  description: Helm's newest revision, 0 when there is none.
  returned: success
  type: int
status:
  description: Helm's status of that revision, V(absent) when there is none.
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
verified:
  description: Whether the chart's tests have passed for that revision. True for a chart without tests.
  returned: success
  type: bool
kept:
  description: The volume claims and generated Secrets that O(state=absent) left in place.
  returned: success
  type: list
  elements: dict
  sample:
    - {kind: PersistentVolumeClaim, name: data-demo-postgresql-0, namespace: dev}
elapsed:
  description: Seconds that the module ran.
  returned: always
  type: float
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
from ansible_collections.nebari.mlflow.plugins.module_utils.absent import ensure_absent
from ansible_collections.nebari.mlflow.plugins.module_utils.changes import diff
from ansible_collections.nebari.mlflow.plugins.module_utils.examined import ensure_examined
from ansible_collections.nebari.mlflow.plugins.module_utils.exceptions import ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.guard import install
from ansible_collections.nebari.mlflow.plugins.module_utils.options import Options
from ansible_collections.nebari.mlflow.plugins.module_utils.present import ensure_present
from ansible_collections.nebari.mlflow.plugins.module_utils.process import Process
from ansible_collections.nebari.mlflow.plugins.module_utils.progress import Progress
from ansible_collections.nebari.mlflow.plugins.module_utils.session import Session

ARGUMENTS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "chart": {"type": "path"},
    "values": {"type": "dict", "default": {}},
    "state": {"type": "str", "choices": ["present", "absent", "examined"], "default": "present"},
    "secrets": {
        "type": "list",
        "elements": "dict",
        "no_log": False,
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "keys": {"type": "dict", "required": True, "no_log": False},
            "opens": {"type": "str", "default": ""},
            "loss": {"type": "str", "default": ""},
        },
    },
    "new_secrets": {"type": "list", "elements": "str", "no_log": False, "default": []},
    "delete_data": {"type": "bool", "default": False},
    "create_namespace": {"type": "bool", "default": True},
    "namespace_labels": {"type": "dict", "default": {}},
    "kubeconfig": {"type": "path"},
    "context": {"type": "str"},
    "helm": {"type": "str", "default": "helm"},
    "timeout": {"type": "int", "default": 600},
    "verify": {"type": "bool", "default": True},
    "verify_timeout": {"type": "int", "default": 60},
    "_progress": {"type": "path"},
    "_controller": {"type": "str"},
}

ENSURE = {"present": ensure_present, "absent": ensure_absent, "examined": ensure_examined}


def run(module: AnsibleModule, progress: Progress) -> dict[str, Any]:
    """Bring the release to its state and describe how it is then."""
    options = Options.from_params(module.params)
    controller = Process.parse(module.params["_controller"] or "")
    install(controller)
    session = Session.open(options, progress, controller)
    outcome = ENSURE[options.state](session, check_mode=module.check_mode)
    for warning in outcome.warnings:
        module.warn(warning)
    return {
        "changed": bool(outcome.changes),
        "changes": [change.report() for change in outcome.changes],
        "diff": diff(outcome.changes),
        "revision": outcome.record.revision if outcome.record else 0,
        "status": outcome.record.status if outcome.record else "absent",
        "chart_version": outcome.chart.get("version", ""),
        "app_version": outcome.chart.get("appVersion", ""),
        "verified": bool(outcome.record and outcome.record.verified),
        "kept": outcome.kept,
        "elapsed": round(progress.elapsed(), 1),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[("state", "present", ["chart"]), ("state", "examined", ["chart"])],
        supports_check_mode=True,
    )
    progress = Progress(module.params["_progress"], module.params["name"])
    try:
        result = run(module, progress)
    except ReleaseError as error:
        module.fail_json(msg=str(error), cause=error.cause, fix=error.fix, elapsed=round(progress.elapsed(), 1))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
