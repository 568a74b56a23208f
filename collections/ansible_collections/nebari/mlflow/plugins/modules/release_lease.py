#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Hold the Lease of a release for the tasks of a play, or give it back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_lease
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Let the operations on a release take turns
description:
  - Takes the Lease that M(nebari.mlflow.helm_release) takes, for all tasks of a play that follow. While another play
    holds it, this fails at once and says who that is.
  - A play that was killed on the same machine is recognised at once. Otherwise the Lease lasts O(lasts) seconds.
  - Modules of this collection that work on the release go on with the Lease that their play holds.
extends_documentation_fragment: nebari.mlflow.cluster
options:
  name:
    description: Name of the release.
    type: str
    required: true
  namespace:
    description: Namespace of the release.
    type: str
    required: true
  state:
    description: V(held) takes the Lease, or renews it. V(free) gives it back, if this play holds it.
    type: str
    choices: [held, free]
    required: true
  lasts:
    description: Seconds that the Lease lasts while no task renews it.
    type: int
    default: 120
attributes:
  check_mode:
    description: Neither asks for the Lease nor takes it.
    support: full
"""

EXAMPLES = r"""
- name: Take the release's Lease
  nebari.mlflow.release_lease:
    name: demo-mlflow
    namespace: dev
    state: held

- name: Give it back
  nebari.mlflow.release_lease:
    name: demo-mlflow
    namespace: dev
    state: free
"""

RETURN = r"""
changes:
  description: Always empty, because a Lease is nothing that a play leaves behind.
  returned: success
  type: list
  elements: dict
elapsed:
  description: Seconds that the module ran.
  returned: always
  type: float
code:
  description: Code of the page that is about this failure, such as V(NML404).
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
from ansible_collections.nebari.mlflow.plugins.module_utils.release.frame import HIDDEN, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.release.session import Session

ARGUMENTS: dict[str, dict[str, Any]] = {
    **access.ARGUMENTS,
    **HIDDEN,
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["held", "free"], "required": True},
    "lasts": {"type": "int", "default": 120},
}


def ensure(session: Session, *, check_mode: bool) -> Outcome:
    """Take the Lease, or give back what this play holds."""
    lease = session.lease(of_play=True)
    if session.options.state == "free":
        if not check_mode and lease.is_held_by_play():
            with lease:
                pass  # leaving gives it back
        return Outcome()
    if not check_mode:
        with lease:
            session.take_over(lease)
            lease.stays, lease.lasts = True, session.options.lasts
    return Outcome()


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    run_module(module, ensure, lambda _: {}, with_helm=False)


if __name__ == "__main__":
    main()
