# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the modules of all clouds document alike. A fragment may hold no return values: a test keeps those equal."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
notes:
  - In check mode no write call is made, and RV(changes) are what a run would then do.
options:
  namespace:
    description: Kubernetes namespace of the service account.
    type: str
    required: true
  state:
    description: With V(absent), the identity is removed and the data stays, unless O(delete_data) says otherwise.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Reads only, and predicts every change.
    support: full
  diff_mode:
    description: Shows what this module manages, before and after.
    support: full
"""
