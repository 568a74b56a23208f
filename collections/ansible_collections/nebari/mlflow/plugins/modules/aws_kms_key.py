#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ensure a KMS key that rotates, is found by its alias and is marked by its owner."""

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_kms_key
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Ensure a KMS key and its alias
description:
  - Creates a key once, even if a run is interrupted before the key has its alias. Ensures that it is enabled and
    rotates.
  - Reads before it writes, so a second run makes no write call. A key with another owner's tag is refused.
  - Unlike C(amazon.aws.kms_key), it predicts every change in check mode, cancels a pending deletion, and never
    deletes a key that other people use.
extends_documentation_fragment:
  - nebari.mlflow.cloud.resource
  - nebari.mlflow.cloud.owned
  - nebari.mlflow.cloud.aws
options:
  alias:
    description: Alias of the key, without C(alias/).
    type: str
    required: true
  needed_by:
    description:
      - With O(state=absent), what stays and needs the key, which therefore stays too.
      - A key that other aliases, grants or statements of its policy use stays as well. Any other is deleted 30 days
        later; until then the deletion can be cancelled.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Ensure the key
  nebari.mlflow.aws_kms_key:
    alias: demo-mlflow
    owner: demo
    region: eu-west-1
  register: key
"""

RETURN = r"""
arn:
  description: ARN of the key, in check mode a placeholder for one that would be created, and empty without a key.
  returned: success
  type: str
  sample: arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: create, kind: KMS key, name: alias/demo-mlflow}
kept:
  description:
    - What stays after O(state=absent), each with C(kind) and C(name), and with C(reason) if it stays although its
      removal was asked for.
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
from ansible_collections.nebari.mlflow.plugins.module_utils.aws import key
from ansible_collections.nebari.mlflow.plugins.module_utils.aws.client import Aws
from ansible_collections.nebari.mlflow.plugins.module_utils.aws.credentials import OF_CLOUD
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud import naming
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry import HIDDEN, OWNER, STATE, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.ledger import Ledger

ARGUMENTS: dict[str, dict[str, Any]] = {
    **HIDDEN,
    **OF_CLOUD,
    "alias": {"type": "str", "required": True},
    "owner": OWNER,
    "needed_by": {"type": "str", "default": ""},
    "tags": {"type": "dict", "default": {}},
    "state": STATE,
}


def ensure(params: dict[str, Any], plan: Ledger) -> dict[str, Any]:
    """Bring the key to its state."""
    aws = Aws(params, plan.progress)
    name, owner = params["alias"], params["owner"]
    found = key.find(aws, name, owner)
    if params["state"] == "present":
        tags = naming.marked(params["tags"], owner)
        return {"arn": key.ensure_present(aws, plan, name, owner, tags, found)}
    spared = f"{params['needed_by']}, which stays, needs it" if params["needed_by"] else ""
    key.ensure_absent(aws, plan, name, found, spared)
    return {"arn": key.arn_of(found)}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), ensure, "AWS")


if __name__ == "__main__":
    main()
