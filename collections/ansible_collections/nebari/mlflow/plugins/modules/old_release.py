#!/usr/bin/python
# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Find the release that another chart of MLflow made, and keep what only its objects know."""

from __future__ import annotations

DOCUMENTATION = r"""
module: old_release
version_added: "0.1.0"
author:
  - nebari-mlflow maintainers
short_description: Find a release of another MLflow chart
description:
  - Reads Helm's record of a release that another chart named C(mlflow) made, its objects, and how far an adoption has
    come. Also reads what the values make of this chart's own database.
  - With O(state=saved), it keeps Helm's record and the release's Secrets in the Secret C({name}-old).
requirements:
  - kubernetes >= 27.2 (Python)
extends_documentation_fragment:
  - nebari.mlflow.cluster
  - nebari.mlflow.cluster.release
options:
  chart:
    description: Path of this project's chart.
    type: path
    required: true
  values:
    description: Values of the new release.
    type: dict
    default: {}
  state:
    description: With V(found), it writes nothing.
    type: str
    choices: [found, saved]
    default: found
  helm:
    description: The helm program.
    type: str
    default: helm
attributes:
  check_mode:
    description: Only reads.
    support: full
"""

EXAMPLES = r"""
- name: Look at the old release
  nebari.mlflow.old_release:
    name: demo-mlflow
    namespace: dev
    chart: charts/mlflow
  register: found

- name: Show what it is
  ansible.builtin.debug:
    msg: "{{ found.old.chart }}, {{ found.old.stage }}"
"""

RETURN = r"""
old:
  description:
    - The release, its objects, its database. C(stage) is V(absent), V(found), V(copied) (the database's copy is
      verified and current), V(moving) (the old objects are gone) or V(done).
  returned: success
  type: dict
new:
  description:
    - Parts of this chart's own database and of its artifact store, for Jobs that fill their volumes.
    - C(artifacts) says what becomes of the old release's artifacts. C(way) is V(copy), V(stay) or V(left).
  returned: if there is something to adopt
  type: dict
changes:
  description: What was written.
  returned: success
  type: list
  elements: dict
connection:
  description: Options with which the modules of kubernetes.core reach the same cluster as the same user.
  returned: success
  type: dict
elapsed:
  description: Seconds that the module ran.
  returned: always
  type: float
code:
  description: Code of the page that is about this failure, such as V(NML412).
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
from ansible_collections.nebari.mlflow.plugins.module_utils.adoption.artifacts import decide
from ansible_collections.nebari.mlflow.plugins.module_utils.adoption.database_pod import database_pod
from ansible_collections.nebari.mlflow.plugins.module_utils.adoption.old import ABSENT, DONE, Old, look
from ansible_collections.nebari.mlflow.plugins.module_utils.adoption.saved import ensure_saved
from ansible_collections.nebari.mlflow.plugins.module_utils.adoption.store_pod import store_pod
from ansible_collections.nebari.mlflow.plugins.module_utils.errors import ReleaseError
from ansible_collections.nebari.mlflow.plugins.module_utils.kube import access
from ansible_collections.nebari.mlflow.plugins.module_utils.release.changes import Outcome
from ansible_collections.nebari.mlflow.plugins.module_utils.release.frame import HIDDEN, run_module
from ansible_collections.nebari.mlflow.plugins.module_utils.release.render import render
from ansible_collections.nebari.mlflow.plugins.module_utils.release.session import Session

ARGUMENTS: dict[str, dict[str, Any]] = {
    **access.ARGUMENTS,
    **HIDDEN,
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "chart": {"type": "path", "required": True},
    "values": {"type": "dict", "default": {}},
    "state": {"type": "str", "choices": ["found", "saved"], "default": "found"},
    "helm": {"type": "str", "default": "helm"},
}


def ensure(session: Session, *, check_mode: bool) -> Outcome:
    """Look, and keep what is asked for."""
    old = look(session)
    new = _new(session, old) if old.database and old.stage not in (ABSENT, DONE) else {}
    changes = ensure_saved(session, old, check_mode=check_mode) if session.options.state == "saved" else []
    return Outcome(changes, parts={"old": old.report(), "new": new})


def _new(session: Session, old: Old) -> dict[str, Any]:
    manifests = render(session)
    store = store_pod(session, manifests)
    return {**database_pod(session, manifests), "store": store, "artifacts": decide(old.artifacts, store)}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        connection = access.same_for_kubernetes_core(module.params, os.environ)
    except ReleaseError as error:
        module.fail_json(**error.report(), elapsed=0.0)
    run_module(module, ensure, lambda outcome: {"connection": connection, **outcome.parts}, with_helm=True)


if __name__ == "__main__":
    main()
