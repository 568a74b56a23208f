#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Replace generated values of Secrets in steps between which both values are known."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rotated_secret
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Replace generated values of Secrets in three steps
description:
  - Rotates Secrets that M(nebari.mlflow.generated_secret) generated. Between the steps, the Secret holds two values of
    each key that O(secrets[].both) names, so that nothing fails while its users change from one to the other.
  - Each step is one write to each Secret, and a Secret says how far it is. A run that was killed is carried on by the
    next one, which begins with the first step again.
  - Holds the Lease of the release from the first step to the last one of the play.
extends_documentation_fragment: nebari.mlflow.cluster
options:
  release:
    description: Name of the release that uses the Secrets.
    type: str
    required: true
  namespace:
    description: Namespace of the Secrets.
    type: str
    required: true
  secrets:
    description: The Secrets.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the Secret.
        type: str
        required: true
      keys:
        description: The keys, each with the kind of value to generate, as for M(nebari.mlflow.generated_secret).
        type: dict
        required: true
      both:
        description: Keys of which the workloads know two values. The others get their new value in the second step.
        type: list
        elements: str
        default: []
  state:
    description:
      - V(announced) adds the next value of each key as C(other.KEY).
      - V(swapped) puts it in the place of the present one, which becomes C(other.KEY).
      - V(finished) removes C(other.KEY), and notes that the workloads need no restart for it.
      - Restart the users between the steps with M(nebari.mlflow.workloads_restarted).
    type: str
    choices: [announced, swapped, finished]
    required: true
attributes:
  check_mode:
    description: Says what the step would change if the steps before it had been done.
    support: full
  diff_mode:
    description: Shows the keys; every value is hidden.
    support: full
"""

EXAMPLES = r"""
- name: Announce the next password
  nebari.mlflow.rotated_secret:
    release: demo
    namespace: dev
    secrets:
      - name: demo-database
        keys: {password: alphanumeric}
        both: [password]
    state: announced
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: update, kind: Secret, name: demo-database, namespace: dev, fields: [data.other.password]}
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
from ansible_collections.nebari.mlflow.plugins.module_utils.release.frame import HIDDEN, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.release.rotation import STEPS, ensure_rotated

SECRETS: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "no_log": False,
    "required": True,
    "options": {
        "name": {"type": "str", "required": True},
        "keys": {"type": "dict", "required": True, "no_log": False},
        "both": {"type": "list", "elements": "str", "default": []},
    },
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    **access.ARGUMENTS,
    **HIDDEN,
    "release": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "secrets": SECRETS,
    "state": {"type": "str", "choices": [*STEPS], "required": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run_module(module, ensure_rotated, lambda _: {}, with_helm=False)


if __name__ == "__main__":
    main()
