#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Look at what serves the route of a release, and try its address through the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: route_info
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Try the address of a release's route through its controller
description:
  - Reads the route from the release's values, finds the controller by the IngressClass, the Gateway or Traefik's
    labels, and asks one of its pods for the address, by way of the Kubernetes API. Name resolution and load balancers
    play no part in it.
  - A missing IngressClass, Gateway or controller, and a controller that the network rules keep away from the server,
    are warnings, as is an answer that shows no UI.
extends_documentation_fragment:
  - nebari.mlflow.cluster
  - nebari.mlflow.cluster.release
attributes:
  check_mode:
    description: Only reads, in check mode as well.
    support: full
"""

EXAMPLES = r"""
- name: Try the UI's address
  nebari.mlflow.route_info:
    name: demo-mlflow
    namespace: dev
  register: reached

- name: Show what it answers
  ansible.builtin.debug:
    var: reached.route.says
"""

RETURN = r"""
route:
  description: What is known of the way to the UI. Empty without a release or a route.
  returned: success
  type: dict
  contains:
    address:
      description: The UI's address.
      type: str
    through:
      description: The pod of the controller that was asked.
      type: str
    status:
      description: HTTP status of the answer, 0 without one.
      type: int
    says:
      description: What it means, in one sentence.
      type: str
    ok:
      description: Whether the UI, or the login in front of it, answers. Null if it was not tried.
      type: bool
    problems:
      description: What keeps people from reaching the UI, each with C(cause) and C(fix).
      type: list
      elements: dict
  sample:
    address: https://nebari.example.org/mlflow/
    through: Pod/nebari-traefik-ingress-7d8f in namespace dev
    status: 307
    says: Pod/nebari-traefik-ingress-7d8f in namespace dev asks for a login (HTTP 307).
    ok: true
    problems: []
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
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.api import Api
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.kubeconfig import check_owner
from ansible_collections.nebari.mlflow.plugins.module_utils.network import trial
from ansible_collections.nebari.mlflow.plugins.module_utils.release.record import Records
from ansible_collections.nebari.mlflow.plugins.module_utils.visible import visible

ARGUMENTS: dict[str, dict[str, Any]] = {
    **access.ARGUMENTS,
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
}


def run(params: dict[str, Any]) -> trial.Trial | None:
    """Read the newest revision's values, and try its route."""
    kubeconfig, context = access.settle(params, os.environ)
    check_owner(kubeconfig)
    api = Api(kubeconfig, context)
    records = Records(api, params["name"], params["namespace"])
    newest = next(iter(records.statuses()), 0)
    record = records.read(newest) if newest else None
    if record is None:
        return None
    return trial.look(api, record.defaults, record.config, params["namespace"])


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    access.hide(module)
    try:
        found = run(module.params)
    except ReleaseError as error:
        module.fail_json(**error.report())
    if found is not None and found.ok is False:
        told = [f"{each.cause} {each.fix}" for each in found.problems] or [found.says]
        for each in told:
            module.warn(visible(f"{found.address}: {each}"))
    module.exit_json(changed=False, route=found.report() if found else {})


if __name__ == "__main__":
    main()
