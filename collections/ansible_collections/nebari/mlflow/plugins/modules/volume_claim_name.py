#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Give the volume of a claim a claim of another name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_claim_name
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Rename a volume claim
description:
  - Kubernetes cannot rename a claim. This deletes it and creates another one for the same volume, which outlives every
    step. A run that is killed is finished by the next.
  - It waits for the pods that use the claim to end; it ends none.
extends_documentation_fragment: nebari.mlflow.cluster
options:
  name:
    description: Name of the claim.
    type: str
    required: true
  new_name:
    description: Name that the claim gets.
    type: str
    required: true
  namespace:
    description: Namespace of both.
    type: str
    required: true
  labels:
    description: Labels of the new claim.
    type: dict
    default: {}
  annotations:
    description: Annotations of the new claim.
    type: dict
    default: {}
  timeout:
    description: Seconds to wait for pods to end, and for the new claim to be bound.
    type: int
    default: 300
attributes:
  check_mode:
    description: Writes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Put the old database's volume aside
  nebari.mlflow.volume_claim_name:
    name: data-demo-mlflow-postgresql-0
    new_name: demo-mlflow-old-database
    namespace: dev
"""

RETURN = r"""
changes:
  description: The claims that were deleted and created.
  returned: success
  type: list
  elements: dict
code:
  description: Code of the page that is about this failure, such as V(NML409).
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
from dataclasses import fields
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nebari.mlflow.plugins.module_utils.adoption.claim import Rename, ensure_renamed
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.kube import access
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.api import Api

ARGUMENTS: dict[str, dict[str, Any]] = {
    **access.ARGUMENTS,
    "name": {"type": "str", "required": True},
    "new_name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "labels": {"type": "dict", "default": {}},
    "annotations": {"type": "dict", "default": {}},
    "timeout": {"type": "int", "default": 300},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    access.hide(module)
    wanted = Rename(**{field.name: module.params[field.name] for field in fields(Rename)})
    try:
        changes = ensure_renamed(Api(*access.settle(module.params, os.environ)), wanted, check_mode=module.check_mode)
    except ReleaseError as error:
        module.fail_json(**error.report())
    module.exit_json(changed=bool(changes), changes=[change.report() for change in changes])


if __name__ == "__main__":
    main()
