#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ensure a Google service account that is marked by its owner."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gcp_service_account
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Ensure a Google service account for MLflow
description:
  - Creates, repairs and enables a service account. Its description is the mark of the deployment.
  - Reads before it writes, so a second run makes no write call. An account with another owner's mark is refused.
extends_documentation_fragment:
  - nebari.mlflow.cloud.resource
  - nebari.mlflow.cloud.gcp
options:
  account_id:
    description: Id of the account, the part of its address before C(@).
    type: str
    required: true
  owner:
    description: Mark of the deployment, written into the description.
    type: str
    required: true
  members:
    description:
      - With O(state=absent), the grants on the account that belong to the deployment.
      - An account that has other grants or keys stays, and loses only these.
    type: list
    elements: dict
    default: []
    suboptions:
      role:
        description: Role that is granted on the account.
        type: str
        required: true
      member:
        description: Who has the role.
        type: str
        required: true
"""

EXAMPLES = r"""
- name: Ensure the service account
  nebari.mlflow.gcp_service_account:
    account_id: demo-mlflow
    owner: demo
    cloud_project: our-project-123
"""

RETURN = r"""
email:
  description: Address of the account.
  returned: success
  type: str
  sample: demo-mlflow@our-project-123.iam.gserviceaccount.com
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: dict
  sample:
    - {action: create, kind: service account, name: demo-mlflow@our-project-123.iam.gserviceaccount.com}
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
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.entry import HIDDEN, OWNER, STATE, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.cloud.ledger import Ledger
from ansible_collections.nebari.mlflow.plugins.module_utils.gcp import account
from ansible_collections.nebari.mlflow.plugins.module_utils.gcp.client import Gcp
from ansible_collections.nebari.mlflow.plugins.module_utils.gcp.credentials import OF_OBJECT

ARGUMENTS: dict[str, dict[str, Any]] = {
    **HIDDEN,
    **OF_OBJECT,
    "account_id": {"type": "str", "required": True},
    "owner": OWNER,
    "members": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"role": {"type": "str", "required": True}, "member": {"type": "str", "required": True}},
    },
    "state": STATE,
}


def ensure(params: dict[str, Any], plan: Ledger) -> dict[str, Any]:
    """Bring the account to its state."""
    gcp = Gcp(params, plan.progress)
    found = account.find(gcp, params["account_id"], params["owner"])
    if params["state"] == "present":
        account.ensure_present(gcp, plan, params["account_id"], params["owner"], found)
    elif found is not None:
        ours = [(each["role"], each["member"]) for each in params["members"]]
        account.ensure_absent(gcp, plan, params["account_id"], ours)
    return {"email": account.email_of(params["account_id"], params["cloud_project"])}


def main() -> None:
    run_module(AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True), ensure, "Google Cloud")


if __name__ == "__main__":
    main()
