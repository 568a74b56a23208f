#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Generate Secrets once, and never beside data that needs the old values."""

from __future__ import annotations

DOCUMENTATION = r"""
module: generated_secret
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Generate Secrets once
description:
  - Creates Secrets with random values, and adds keys that are missing or empty. A value that exists is never changed.
  - A Secret that is missing while its data exist is refused, because a new value would not open them.
  - The Secrets belong to no Helm release, so uninstalling leaves them, and a new install finds them with the data.
extends_documentation_fragment: nebari.mlflow.cluster
options:
  release:
    description: Name of the release that uses the Secrets. They get it as a label.
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
        description:
          - The keys, each with the kind of value to generate.
          - V(alphanumeric) is 32 characters of C([A-Za-z0-9]). V(fernet) is 32 random bytes in URL-safe base64.
        type: dict
        required: true
      opens:
        description:
          - The data that cannot be used without the Secret, as C(claim/NAME) for a volume claim, or C(release) for
            what the release keeps outside the cluster.
          - While it exists, a Secret or key that is missing or empty is refused before anything is written.
        type: str
        default: ""
      loss:
        description: What a new Secret would cost, as a sentence for the message that names the ways on.
        type: str
        default: ""
  new_secrets:
    description:
      - Names of O(secrets) to generate again although what they open exists, because there is no backup of them.
      - It acts only while the Secret or a key of it is missing. M(nebari.mlflow.helm_release) restarts what uses it.
    type: list
    elements: str
    default: []
  create_namespace:
    description: Whether to create the namespace if it is missing.
    type: bool
    default: true
  namespace_labels:
    description: Labels of a namespace that is created. An existing namespace keeps its own.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Says which Secrets and keys would be generated.
    support: full
  diff_mode:
    description: Shows the keys; every value is hidden.
    support: full
"""

EXAMPLES = r"""
- name: Generate a password once
  nebari.mlflow.generated_secret:
    release: demo
    namespace: dev
    secrets:
      - name: demo-database
        keys:
          password: alphanumeric
        opens: claim/data-demo-database-0
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: create, kind: Secret, name: demo-database, namespace: dev, fields: [data.password]}
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
from ansible_collections.nebari.mlflow.plugins.module_utils.release.frame import HIDDEN, SECRETS, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.release.generated import ensure_generated

ARGUMENTS: dict[str, dict[str, Any]] = {
    **access.ARGUMENTS,
    **HIDDEN,
    "release": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "secrets": {**SECRETS, "required": True},
    "new_secrets": {"type": "list", "elements": "str", "no_log": False, "default": []},
    "create_namespace": {"type": "bool", "default": True},
    "namespace_labels": {"type": "dict", "default": {}},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run_module(module, ensure_generated, lambda _: {}, with_helm=False)


if __name__ == "__main__":
    main()
